"""A task's metrics as an `evaluate` metric, for evaluation loops and for Trainer.

    metric = medimeta.metric("crc/tissue class")
    for batch in batches(test):
        metric.add_batch(predictions=model(batch["pixel_values"]).softmax(1), references=batch["labels"])
    metric.compute()  # {"auroc": 0.98, "accuracy": 0.91, ...}

    Trainer(..., compute_metrics=medimeta.metric(task))  # takes logits, as Trainer gives them

`evaluate.load("<checkout>/tasks/evaluate_metric", "crc/tissue class")` gives the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from ...cards.catalogue import DATASETS
from ...cards.facts import Task
from ...errors import unknown
from .intervals import RESAMPLES, bootstrap
from .metrics import absent_labels, evaluate_scores, probabilities

_INPUTS = """
Args:
    predictions: Probabilities, one row per image: of each label, or, for a binary task, of the second label alone.
    references: Label ids; multilabel: 0, 1 or NaN (unknown) for each label.
    subjects: Subject of each row, in the order in which rows were added, None where it is unknown. Gives intervals
        over subjects.
    resamples: Of the bootstrap; by default 1000 with subjects, else none.
    seed: Of the bootstrap.
    logits: Whether the predictions are a model's logits.

Returns:
    The metrics of `medimeta.tasks.metrics.evaluate_scores` by name, "absent_labels", the names of the labels that means
    leave out, and, with a bootstrap, "<name>_low" and "<name>_high", the ends of 95 % intervals.
"""


class TaskMetric(evaluate.Metric):
    """The metrics of one task; see the head of this file.

    Args:
        config_name: "dataset", whose main task is meant, or "dataset/task", by name or column.
        task: The task itself, instead.
        **options: As for `evaluate.Metric`, e.g. `num_process` and `process_id`, to gather from several processes.

    Attributes:
        task: The task.

    Raises:
        UnknownName: If there is no such dataset or task.
    """

    def __init__(self, config_name: str | None = None, *, task: Task | None = None, **options: Any) -> None:
        self.task = find_task(config_name or "") if task is None else task
        # One process keeps what it was given in memory; only several need files to meet in.
        options = {"keep_in_memory": options.get("num_process", 1) == 1} | options
        super().__init__(config_name=f"{self.task.dataset}-{self.task.column}", **options)

    def _info(self) -> evaluate.MetricInfo:
        count, number = len(self.task.labels), datasets.Value("float64")
        each = datasets.Sequence(number, length=count)
        truth = each if self.task.kind == "multilabel" else datasets.Value("int64")
        forms = [each, number] if self.task.kind == "binary" else [each]
        return evaluate.MetricInfo(
            description=f"Metrics of {self.task.name} ({self.task.dataset}, {self.task.kind}).",
            citation="",
            inputs_description=_INPUTS,
            features=[datasets.Features(predictions=form, references=truth) for form in forms],
        )

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
        if logits:
            scores = probabilities(self.task, scores)
        found: dict[str, Any] = evaluate_scores(self.task, scores, labels)
        found["absent_labels"] = absent_labels(self.task, labels)
        wanted = (0 if subjects is None else RESAMPLES) if resamples is None else resamples
        if wanted:
            for name, ends in bootstrap(self.task, scores, labels, subjects, resamples=wanted, seed=seed).items():
                found |= {f"{name}_low": ends[0], f"{name}_high": ends[1]}
        return found

    def __call__(self, prediction: Any) -> dict[str, float]:
        """What Trainer wants of `compute_metrics`.

        Args:
            prediction: An `EvalPrediction` of logits (the first, where the model gives several outputs) and labels.

        Returns:
            Numbers alone.
        """
        logits, labels = prediction.predictions, prediction.label_ids
        logits = logits[0] if isinstance(logits, tuple) else logits
        return evaluate_scores(self.task, probabilities(self.task, logits), labels)


def metric(task: Task | str, **options: Any) -> TaskMetric:
    """The metrics of a task as an `evaluate` metric that Trainer takes as `compute_metrics`.

    Args:
        task: The task, or "dataset" (its main task) or "dataset/task".
        **options: As for `evaluate.Metric`.

    Raises:
        UnknownName: If there is no such dataset or task.
    """
    return TaskMetric(task=find_task(task) if isinstance(task, str) else task, **options)


def find_task(name: str) -> Task:
    """The task called "dataset/task", or the main task of "dataset".

    Raises:
        UnknownName: If there is none.
    """
    dataset, _, task = name.partition("/")
    if dataset not in DATASETS:
        raise unknown("dataset", dataset, DATASETS, hint='A metric is called "dataset" or "dataset/task".')
    card = DATASETS[dataset]
    return card.task(task) if task else card.tasks[0]
