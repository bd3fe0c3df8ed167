"""`medimeta.metric`: the metrics of a task as an `evaluate` metric, for evaluation loops and for Trainer.

    metric = medimeta.metric("crc/tissue class")
    for batch in batches(test):
        metric.add_batch(predictions=model(batch["pixel_values"]).softmax(1), references=batch["labels"])
    metric.compute()  # {"auroc": 0.98, "accuracy": 0.91, ...}

    Trainer(..., compute_metrics=medimeta.metric(task))  # takes logits, as Trainer gives them

`evaluate.load("<checkout>/learn/evaluation/evaluate_metric", "crc/tissue class")` returns the same metric, and
`evaluate.combine([medimeta.metric("crc"), "accuracy"])` works on predicted label ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...cards.catalogue import DATASETS, TaskLike
from ...errors import missing_extra

if TYPE_CHECKING:
    from .task_metric import TaskMetric


def metric(task: TaskLike, **options: Any) -> TaskMetric:
    """Return the metrics of a task as an `evaluate` metric, which Trainer takes as `compute_metrics`.

    Args:
        task: A task, or "dataset" (its main task) or "dataset/task".
        **options: As for `evaluate.Metric`.

    Raises:
        UnknownName: If the dataset or task does not exist.
        MissingExtra: If `evaluate` is not installed.
    """
    try:
        from .task_metric import TaskMetric
    except ModuleNotFoundError as error:
        if error.name != "evaluate":
            raise
        raise missing_extra("evaluate", "train", "medimeta.metric") from None
    return TaskMetric(task=DATASETS.find_task(task), **options)
