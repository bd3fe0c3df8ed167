"""Reliability diagrams: how often a prediction is right, by its confidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ....cards.catalogue import DATASETS
from ....errors import MedIMetaError
from ...figures.style import COLOURS, save, styled
from .. import stored
from ..measures.metrics import BINS, Scored
from .comparison import Sourced
from .pictures import file_name


class Reliability(NamedTuple):
    """Rows (multilabel: labels of rows) by the confidence of their prediction, in 15 bins of equal width.

    Attributes:
        counts: Number in each bin.
        confidence: Mean confidence in each bin; NaN in empty ones.
        accuracy: Share of correct predictions (multilabel: of rows with the label); NaN in empty bins.
    """

    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


def reliability(scored: Scored) -> Reliability:
    """Return confidence and accuracy, bin by bin.

    The mean of their difference, weighted by `counts`, is the metric "calibration_error" of a single-label task.
    """
    if scored.task.kind == "multilabel":
        known = ~np.isnan(scored.labels)
        confidence, right = scored.scores[known], scored.labels[known]
    else:
        confidence, right = scored.scores.max(axis=1), scored.scores.argmax(axis=1) == scored.labels
    bins = np.clip((confidence * BINS).astype(np.int64), 0, BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    divisor = np.where(counts > 0, counts, np.nan)
    sums = [np.bincount(bins, weights=values, minlength=BINS) for values in (confidence, right)]
    return Reliability(counts, sums[0] / divisor, sums[1] / divisor)


def write_reliabilities(sourced: Sequence[Sourced], folder: Path) -> None:
    """Draw a diagram of each result whose predictions are stored, as PNG files named after dataset, task and method.

    Raises:
        MedIMetaError: If no result of a split has stored predictions.
    """
    having = [
        (path, result) for path, result in sourced if result.episodes is None and stored.path_next_to(path).exists()
    ]
    if not having:
        raise MedIMetaError(
            "None of these results has stored predictions of a split: they are next to the results, in files called "
            "*.predictions.parquet. Run the evaluation again."
        )
    for path, result in having:
        scored, _ = stored.read(DATASETS[result.dataset].task(result.task), stored.path_next_to(path))
        title = f"{result.method}: {result.dataset} / {result.task}, {result.split}"
        write_reliability(reliability(scored), title, folder / file_name(result))


@styled
def write_reliability(binned: Reliability, title: str, path: Path) -> None:
    """Draw accuracy over confidence, with the diagonal of perfect calibration, and below it the number in each bin."""
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state

    figure = Figure(figsize=(4.4, 5))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    filled = binned.counts > 0
    top.plot([0, 1], [0, 1], color="0.4", linestyle=":", marker="", label="perfect calibration")
    top.plot(binned.confidence[filled], binned.accuracy[filled], color=COLOURS[0], marker="o")
    edges = (np.arange(BINS) + 0.5) / BINS
    bottom.bar(edges, binned.counts, width=0.9 / BINS, color=COLOURS[0])
    top.set(ylabel="Accuracy", xlim=(0, 1), ylim=(0, 1))
    top.set_title(title)
    top.legend()
    bottom.set(xlabel="Confidence (probability of the prediction)", ylabel="Predictions")
    save(figure, path)
