"""Replies in words to multiple-choice questions."""

from __future__ import annotations

import pytest

from medimeta.cards.catalogue import DATASETS
from medimeta.cards.wording import wording_of
from medimeta.errors import MedIMetaError
from medimeta.learn.evaluation.replies import match_reply, score_replies

CHOICES = ["a benign tumour", "a malignant tumour, breast cancer", "no benign tumour"]


@pytest.mark.parametrize(
    ("reply", "place"),
    [
        ("A BENIGN TUMOUR.", 0),
        ("The image shows a malignant tumour", 1),
        ("I see no benign tumour here", 2),
        ("either a benign tumour or a malignant tumour", None),
        ("B", None),
        ("", None),
        ("benign tumours", None),
    ],
)
def test_the_choice_that_a_reply_names(reply, place):
    assert match_reply(reply, CHOICES) == place


@pytest.mark.parametrize("task", [t for card in DATASETS.values() for t in card.tasks], ids=repr)
def test_every_phrase_names_its_own_label(task):
    phrases = list(wording_of(task.dataset).phrases[task.name].values())

    for place, phrase in enumerate(phrases):
        assert match_reply(f"{phrase.capitalize()}.", phrases) == place


def test_scores_count_unclear_replies_as_wrong():
    row = {"task": "bus.malignancy", "choices": ["yes", "no"], "answer_text": "yes"}

    (score,) = score_replies([row] * 4, ["Yes!", "no", "perhaps", "yes"])

    assert (score.questions, score.unclear, score.accuracy, score.chance) == (4, 1, 0.5, 0.5)
    assert score.low < 0.5 < score.high
    with pytest.raises(MedIMetaError):
        score_replies([row], [])
