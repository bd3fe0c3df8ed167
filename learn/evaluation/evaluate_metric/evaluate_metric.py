"""The script that `evaluate.load("<checkout>/learn/evaluation/evaluate_metric", "dataset/task")` copies and imports."""

from medimeta.learn.evaluation.task_metric import TaskMetric  # absolute: the copy is in another package

__all__ = ["TaskMetric"]
