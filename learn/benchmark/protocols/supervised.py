"""The protocols on whole splits of features; settings are chosen on the validation split and reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ....cards.facts import Task
from ....errors import MedIMetaError
from ...encoders.neighbours import NEIGHBOURS, TEMPERATURE, neighbour_scores
from ...encoders.probe import STRENGTHS, TOLERANCE, Probe, Standardisation, fit_path
from ...encoders.prototypes import prototype_logits
from ...evaluation.measures.metrics import evaluate_scores

NAMES = {
    "probe": "linear probe",
    "knn": "nearest neighbours",
    "prototype": "nearest prototype",
    "retrieval": "retrieval",
}
DEFAULTS = {"probe": 1.0, "knn": 20}  # where validation cannot decide
SETTINGS: dict[str, dict[str, Any]] = {  # all settings of a protocol, as results report them
    "probe": {
        "features": "standardised",
        "strengths": {"from": STRENGTHS[0], "to": STRENGTHS[-1], "number": len(STRENGTHS)},
        "gradient": TOLERANCE,
    },
    "knn": {"similarity": "cosine", "temperature": TEMPERATURE, "neighbours": list(NEIGHBOURS)},
    "prototype": {"features": "centred, length 1"},
    "retrieval": {"similarity": "cosine", "gallery": "train", "recall_at": [1, 5, 10]},
}
Notes = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """Features and labels of a split.

    Attributes:
        features: Features, float32, shape (N, width).
        labels: Ids, shape (N,), negative for unknown; multilabel: 0, 1 or NaN (unknown), shape (N, k).
    """

    features: torch.Tensor
    labels: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Whether a label of a row is known, shape (N,)."""
        return np.asarray(~np.isnan(self.labels).all(axis=1) if self.labels.ndim == 2 else self.labels >= 0)

    def take(self, rows: np.ndarray) -> Part:
        """Return some rows, by number."""
        return Part(self.features[torch.from_numpy(rows)], self.labels[rows])


def answer(protocol: str, task: Task, train: Part, validation: Part, test: torch.Tensor) -> tuple[np.ndarray, Notes]:
    """Fit a protocol on the training split, and return its predictions for the test split.

    Args:
        protocol: "probe", "knn" or "prototype".
        task: The task.
        train: The training split.
        validation: The validation split, for choices alone.
        test: Features of the test split.

    Returns:
        Probabilities, as `Result.of_scores` takes them, and notes on the chosen settings, ready for JSON.

    Raises:
        MedIMetaError: If no training row has a known label, or those of a binary task have only one class.
    """
    absent = _absent(task, train.labels)
    if not train.known.any() or (absent and task.kind == "binary"):
        raise MedIMetaError(
            f"{task.dataset}/{task.column} cannot be learned: its training split has no image of {', '.join(absent)}."
        )
    notes: Notes = {}
    if protocol == "prototype":
        scores = probabilities(task, prototype_logits(task, train.features, train.labels, test))
    elif protocol == "knn":
        scores, notes = _neighbours(task, train, validation, test)
    else:
        scores, notes = _probe(task, train, validation, test)
    return scores, {**notes, "absent_in_train": absent} if absent else notes


def probabilities(task: Task, logits: torch.Tensor) -> np.ndarray:
    """Return the probabilities of logits; a logit of minus infinity gives 0.

    Args:
        task: The task.
        logits: Shape (N, outputs): one output for a binary task, else one per label.
    """
    logits = logits.double().cpu()
    if task.kind == "binary":
        return logits.sigmoid()[:, 0].numpy()
    return (logits.sigmoid() if task.kind == "multilabel" else logits.softmax(dim=1)).numpy()


def _probe(task: Task, train: Part, validation: Part, test: torch.Tensor) -> tuple[np.ndarray, Notes]:
    scaled = Standardisation.of(train.features)
    held_out = scaled(validation.features)
    unconverged = []

    def candidates() -> Iterator[tuple[float, Probe, np.ndarray]]:
        for probe in fit_path(task, scaled(train.features), train.labels):
            if not probe.converged:
                unconverged.append(probe.strength)
            yield probe.strength, probe, probabilities(task, probe.logits(held_out))

    probe, notes = _best(task, candidates(), validation, "strength", DEFAULTS["probe"])
    notes |= {"converged": probe.converged, "strengths_not_converged": len(unconverged)}
    return probabilities(task, probe.logits(scaled(test))), notes


def _neighbours(task: Task, train: Part, validation: Part, test: torch.Tensor) -> tuple[np.ndarray, Notes]:
    held_out = neighbour_scores(task, train.features, train.labels, validation.features)
    candidates = ((k, k, scores) for k, scores in held_out)
    best, notes = _best(task, candidates, validation, "neighbours", DEFAULTS["knn"])
    ((_, scores),) = neighbour_scores(task, train.features, train.labels, test, [best])
    return scores, notes


def _best(
    task: Task, candidates: Iterable[tuple[float, Any, np.ndarray]], validation: Part, name: str, default: float
) -> tuple[Any, Notes]:
    """Return the candidate with the best validation AUROC, the first one if several are equal.

    Args:
        task: The task.
        candidates: Values of a setting, what is fitted with them, and probabilities of the validation split.
        validation: The validation split.
        name: Name of the setting.
        default: If no validation AUROC is defined, the value nearest to this is chosen.

    Returns:
        What is fitted with the chosen value, and notes.
    """
    known, labels = validation.known, validation.labels
    judged = []
    for value, fitted, scores in candidates:
        auroc = evaluate_scores(task, scores[known], labels[known])["auroc"] if known.any() else float("nan")
        rank = (0, -auroc) if not np.isnan(auroc) else (1, abs(np.log(value / default)))
        judged.append((rank, value, fitted, auroc))
        judged = [min(judged, key=lambda one: one[0])]
    ((missing, _), value, fitted, auroc) = judged[0]
    if missing:
        return fitted, {name: value, "chosen_by": "default: no validation auroc is defined"}
    return fitted, {name: value, "chosen_by": "validation auroc", "validation_auroc": auroc}


def _absent(task: Task, labels: np.ndarray) -> list[str]:
    """Return the names of labels that no row has."""
    present = (labels == 1).any(axis=0) if labels.ndim == 2 else np.isin(np.arange(len(task.labels)), labels)
    return [label for label, here in zip(task.labels, present, strict=True) if not here]
