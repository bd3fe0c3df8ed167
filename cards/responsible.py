"""Responsible-AI facts for `croissant.json` (the RAI vocabulary 1.0), from the cards; what no card states is said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .card import Config

_UNSTATED = "Not stated by the sources of: {}."


def facts(configs: Sequence[Config]) -> dict[str, Any]:
    """Return the RAI properties of a Hub folder.

    Args:
        configs: Its datasets, in order.
    """
    cards = [config.card for config in configs]
    collected = [f"{card.id}: {card.summary.strip()}" for card in cards]
    nameless = [card.id for card in cards if card.subject is None]
    overlaps = [f"{card.id} shares subjects with {o.dataset}" for card in cards for o in card.subject_overlaps]
    biases = [
        f"{card.id}: the split does not keep the images of a {card.subject} together."
        for card in cards
        if card.subject is not None and card.splits.by != "subject_id" and card.splits.rule != "source"
    ]
    issues = [f"{card.id}: {issue.strip()}" for card in cards for issue in card.known_issues]
    return {
        "rai:dataCollection": " ".join(collected),
        "rai:dataCollectionRawData": " ".join(
            f"{c.id}: {s.title.strip()} ({s.url})." for c in cards for s in c.sources
        ),
        "rai:dataPreprocessingProtocol": [f"{card.id}: {card.processing.strip()}" for card in cards],
        "rai:dataAnnotationProtocol": "Labels come from the sources and were not reviewed by this project; the "
        "publications that each dataset cites describe how they were made. "
        + " ".join(f"{c.id}: {x.change.strip()}" for c in cards for x in c.corrections),
        "rai:dataLimitations": ["Images of this size lack fine detail.", *issues],
        "rai:dataBiases": [
            *biases,
            *(f"{text}." for text in overlaps),
            "Age, sex, ethnicity and devices of the subjects are not known to be representative. "
            + _UNSTATED.format(", ".join(card.id for card in cards)),
        ],
        "rai:personalSensitiveInformation": "Medical images of people, published by their sources without names. "
        "`subject_id` groups images where the source does; "
        + (f"it does not for {', '.join(nameless)}." if nameless else "all sources do."),
        "rai:dataUseCases": "Research and teaching: training and evaluation of image classifiers, few-shot and "
        "cross-domain learning. Not validated for diagnosis.",
        "rai:dataReleaseMaintenancePlan": "Each change is a version of the dataset with a note in its card; earlier "
        "states stay in the repository.",
    }
