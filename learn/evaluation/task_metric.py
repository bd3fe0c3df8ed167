"""The metrics of a task as an `evaluate` metric; importing this module needs `evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from ...cards.catalogue import DATASETS
from ...cards.facts import Task
from ...errors import MedIMetaError
from .measures.bootstrap import RESAMPLES, bootstrap, interval, number_of
from .measures.metrics import RANKING, WITHOUT_INTERVAL, Scored, absent_labels, evaluate_scores, flat
from .measures.scores import probabilities

_INPUTS = """
Args:
    predictions: Probabilities, one row per image: of each label, or, for a binary task, of the second label alone. Or,
        unless the task is multilabel, predicted label ids; metrics of probabilities are left out then.
    references: Label ids; multilabel: 0, 1 or NaN (unknown) for each label.
    subjects: Subject of each row, in the order in which rows were added, None where it is unknown. Adds intervals over
        subjects.
    resamples: Number of resamples of the bootstrap; by default 1000 with subjects, else none.
    seed: Seed of the bootstrap.
    logits: Whether the predictions are a model's logits.

Returns:
    The metrics of `evaluate_scores` by name; "absent_labels", the names of the labels
    that means leave out; and, with a bootstrap, "<name>_low" and "<name>_high", the ends of 95 % intervals.
"""


class TaskMetric(evaluate.Metric):
    """The metrics of one task; see `medimeta.metric`.

    Args:
        config_name: "dataset" (its main task) or "dataset/task", by name or column.
        task: The task, instead of `config_name`.
        **options: As for `evaluate.Metric`, e.g. `num_process` and `process_id`, to gather from several processes.

    Attributes:
        task: The task.

    Raises:
        UnknownName: If the dataset or task does not exist.
    """

    def __init__(self, config_name: str | None = None, *, task: Task | None = None, **options: Any) -> None:
        self.task = DATASETS.find_task(config_name or "") if task is None else task
        # A single process keeps its rows in memory; several processes exchange them through files.
        options = {"keep_in_memory": options.get("num_process", 1) == 1} | options
        super().__init__(config_name=f"{self.task.dataset}-{self.task.column}", **options)

    def _info(self) -> evaluate.MetricInfo:
        count, number = len(self.task.labels), datasets.Value("float64")
        each = datasets.Sequence(number, length=count)
        truth = each if self.task.kind == "multilabel" else datasets.Value("int64")
        alone = {"binary": [number], "multilabel": []}.get(self.task.kind, [datasets.Value("int64")])
        return evaluate.MetricInfo(
            description=f"Metrics of {self.task.name} ({self.task.dataset}, {self.task.kind}).",
            citation="",
            inputs_description=_INPUTS,
            features=[datasets.Features(predictions=form, references=truth) for form in [each, *alone]],
        )

    def __repr__(self) -> str:
        return f"<TaskMetric {self.task.dataset}/{self.task.name}: {self.task.kind}, {len(self.task.labels)} labels>"

    def compute(self, predictions: Any = None, references: Any = None, **options: Any) -> dict[str, Any] | None:
        """Return the metrics of the given rows, or of those that were added before.

        Args:
            predictions: Probabilities, a row per image, or predicted label ids.
            references: Labels, in the same order.
            **options: As in the description of the metric: subjects, resamples, seed, logits.

        Raises:
            MedIMetaError: If there are no rows, or they do not fit the task.
        """
        given = {"predictions": predictions, "references": references}
        rows = {name: value for name, value in given.items() if value is not None}
        measured: dict[str, Any] | None = super().compute(**rows, **options)
        return measured

    def add_batch(self, *, predictions: Any = None, references: Any = None, **columns: Any) -> None:
        """Add rows; `compute` measures them all together.

        Raises:
            MedIMetaError: If there are none.
        """
        if predictions is not None and len(predictions) == 0:
            raise MedIMetaError(f"No predictions of {self.task.name!r} ({self.task.dataset}). Give a row per image.")
        super().add_batch(predictions=predictions, references=references, **columns)

    def _compute(
        self,
        *,
        predictions: Any,
        references: Any,
        subjects: Sequence[str | None] | None = None,
        resamples: int | None = None,
        seed: int = 0,
        logits: bool = False,
    ) -> dict[str, Any]:
        scores, labels = np.asarray(predictions), np.asarray(references)
        only_ids = scores.ndim == 1 and self.task.kind != "binary" and not logits
        if logits:
            scores = probabilities(self.task, scores)
        elif only_ids:
            scores = self._certain(scores)
        scored = Scored(self.task, scores, labels)
        values: dict[str, Any] = flat(self.task, scored.measure())
        wanted = (0 if subjects is None else RESAMPLES) if resamples is None else resamples
        units = len(scored.labels) if subjects is None else number_of(subjects)
        if wanted:
            for name, sample in bootstrap(scored, subjects, resamples=wanted, seed=seed).overall.items():
                if name not in WITHOUT_INTERVAL:
                    measured = interval(name, values[name], sample, units)
                    ends = [np.nan if end is None else end for end in (measured.low, measured.high)]
                    values[f"{name}_low"], values[f"{name}_high"] = ends
        if only_ids:
            values = {name: value for name, value in values.items() if not name.startswith(RANKING)}
        return values | {"absent_labels": absent_labels(self.task, labels)}

    def _certain(self, ids: np.ndarray) -> np.ndarray:
        count = len(self.task.labels)
        if (off := np.flatnonzero((ids < 0) | (ids >= count))).size:
            raise MedIMetaError(
                f"Prediction {off[0]} of {self.task.name!r} ({self.task.dataset}) is {ids[off[0]]}; ids are 0 to "
                f"{count - 1}."
            )
        return np.asarray(np.eye(count)[ids])

    def __call__(self, prediction: Any) -> dict[str, float]:
        """Return the metrics of a Trainer's predictions, as `compute_metrics`.

        Args:
            prediction: An `EvalPrediction` of logits (the first, where the model gives several outputs) and labels.

        Returns:
            The metrics of `evaluate_scores`.
        """
        logits, labels = prediction.predictions, prediction.label_ids
        logits = logits[0] if isinstance(logits, tuple) else logits
        return evaluate_scores(self.task, probabilities(self.task, logits), labels)
