"""Tasks for the framework `mteb`: one per task of the catalogue, read from a Hub folder or repository.

    import mteb
    from medimeta.learn.benchmark.mteb_tasks import mteb_tasks

    mteb.evaluate(mteb.get_model("openai/clip-vit-base-patch32"), mteb_tasks("hub", ["bus.malignancy"]))

A task is an image classification (mteb's own protocol: a classifier on a few labelled images, several times) or, with
`zero_shot`, a classification by the sentences of `encoders.prompts`. Rows without a label are left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from ...cards.benchmark import SPLIT, task_id, task_of
from ...cards.catalogue import DATASETS
from ...cards.facts import Task
from ...errors import MedIMetaError, MissingExtra
from ...files.json_values import plain
from ..encoders.prompts import prompts_of
from ..evaluation.results import Result

RESULT = "medimeta_result"  # key of our result among the scores of a result file of mteb
METRIC = "auroc"
ZERO_SHOT = ".zero_shot"  # ending of the names of zero-shot tasks


def mteb_tasks(
    source: str | os.PathLike[str],
    names: Iterable[str] | None = None,
    *,
    zero_shot: bool = False,
    revision: str | None = None,
) -> list[Any]:
    """Return tasks that mteb evaluates.

    Args:
        source: A Hub folder, or a repository, "<namespace>/<name>".
        names: Ids of tasks, such as "bus.malignancy"; None for all 54, or for those with exactly one label per image
            if `zero_shot`.
        zero_shot: Whether to classify by sentences instead of labelled images.
        revision: Tag, branch or commit of a repository.

    Raises:
        UnknownName: If a task does not exist.
        MedIMetaError: If a multilabel task is asked for with `zero_shot`.
        MissingExtra: If mteb is not installed.
    """
    every = [task for card in DATASETS.values() for task in card.tasks]
    wanted = every if names is None else [task_of(name) for name in names]
    if zero_shot:
        for task in wanted if names is not None else ():
            if task.kind == "multilabel":
                raise MedIMetaError(f"{task_id(task)} is a multilabel task, which mteb has no zero-shot protocol for.")
        wanted = [task for task in wanted if task.kind != "multilabel"]
    return [_task(task, os.fspath(source), revision, zero_shot=zero_shot) for task in wanted]


def _task(task: Task, source: str, revision: str | None, *, zero_shot: bool) -> Any:
    """Return one task, of a class of its own, as mteb wants it."""
    try:
        from mteb import TaskMetadata  # pyright: ignore[reportMissingImports]  not in the environment of the tests
        from mteb.abstasks import (  # pyright: ignore[reportMissingImports]
            AbsTaskClassification,
            AbsTaskMultilabelClassification,
            AbsTaskZeroShotClassification,
        )
    except ImportError:
        raise MissingExtra("This needs mteb 2.26 or newer. Install it: pip install -U mteb") from None
    card = DATASETS[task.dataset]
    several = task.kind == "multilabel"
    base = AbsTaskMultilabelClassification if several else AbsTaskClassification
    if zero_shot:
        base = AbsTaskZeroShotClassification
    kind = "ZeroShotClassification" if zero_shot else "ImageClassification"
    metadata = TaskMetadata(
        name=task_id(task) + (ZERO_SHOT if zero_shot else ""),
        description=f"{card.name}: {task.name}.",
        dataset={"path": source, "name": card.id, "revision": revision or "main"},
        type=kind,
        category="i2t" if zero_shot else "i2c",
        modalities=["image", "text"] if zero_shot else ["image"],
        eval_splits=[SPLIT],
        eval_langs=["eng-Latn"],
        main_score="lrap" if several else "accuracy",
        domains=["Medical"],
        reference=card.sources[0].url,
    )

    def dataset_transform(self: Any, num_proc: int | None = None, **_: Any) -> None:
        columns = ["image", task.column]
        rows = self.dataset.select_columns(columns)
        self.dataset = rows.filter(lambda label: label is not None, input_columns=task.column, num_proc=num_proc)
        if zero_shot:
            base.dataset_transform(self, num_proc=num_proc)

    members: dict[str, Any] = {
        "metadata": metadata,
        "input_column_name": "image",
        "label_column_name": task.column,
        "dataset_transform": dataset_transform,
    }
    if zero_shot:
        candidates = [sentences[0] for sentences in prompts_of(task).shows]
        members["get_candidate_labels"] = lambda self: candidates
    return type(f"MedIMeta_{task.dataset}_{task.column}", (base,), members)()


def to_mteb(result: Result, revision: str = "main") -> dict[str, Any]:
    """Return a result of `medimeta bench` in the form of mteb's result files; `from_mteb` reads it back.

    The main score is the AUROC, as on the leaderboards, not the accuracy that mteb's own protocol reports.

    Args:
        result: The result.
        revision: Revision of the dataset that was evaluated.
    """
    values = {name: measured.value for name, measured in result.metrics.items()}
    if values.get(METRIC) is None:
        raise MedIMetaError(f"The result of {result.dataset} / {result.task} has no {METRIC}, the main score.")
    scores = {"main_score": values[METRIC], "hf_subset": "default", "languages": ["eng-Latn"], **values}
    content: dict[str, Any] = plain(scores)
    return {
        "dataset_revision": revision,
        "task_name": task_id(DATASETS[result.dataset].task(result.task)),
        "mteb_version": None,
        "scores": {result.split: [content | {RESULT: result.as_dict()}]},
        "evaluation_time": None,
        "kg_co2_emissions": None,
    }


def from_mteb(content: Mapping[str, Any]) -> Result:
    """Return the result that `to_mteb` put into a result file.

    Raises:
        MedIMetaError: If the file is of another origin, and so lacks what a result has to say.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        (split,) = content["scores"].values()
        return TypeAdapter(Result).validate_python(split[0][RESULT])
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise MedIMetaError(
            f"The result file of {content.get('task_name')} was not made from a result of this package ({reason}). "
            "Read it with mteb.",
            code="not-a-result",
        ) from None
