"""The model card of a trained model, with its results as metadata (`model-index`), and its way to the Hub."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from string import Formatter

from huggingface_hub import EvalResult, HfApi, ModelCard, ModelCardData

from ...cards.catalogue import DATASETS
from ...cards.facts import Task
from ...errors import MedIMetaError
from ...files.retry import FAILURES, clean, patiently
from ..evaluation.results import Result

_TYPES = {"auroc": "roc_auc", "accuracy": "accuracy", "f1": "f1", "mae": "mae"}  # names that the Hub knows

_TEXT = """
# {title}

{model} {how} on [MedIMeta](https://arxiv.org/abs/2404.16000).

| dataset | task | split | {metrics} |
|---|---|---|{rule}
{rows}

Intervals: {interval}.

## Settings

{settings}

## Use

```python
from transformers import {auto}

model = {auto}.from_pretrained("{name}")
```

The images and labels come with licences of their own: {licences}. The model is for research, not for diagnosis.
"""


def write_card(folder: Path, results: Sequence[Result], *, backbone: str | None = None) -> None:
    """Write README.md into a model's folder.

    Args:
        folder: Holds the model.
        results: What it achieves; one or more, of one model and the same settings.
        backbone: What the model was made by, if it has no head, e.g. "pre-trained on 18 tasks".
    """
    first = results[0]
    name = folder.resolve().name if backbone else f"{first.dataset}-{first.task}".replace(" ", "-").lower()
    evaluations = [
        EvalResult(
            task_type="image-classification",
            dataset_type="medimeta",
            dataset_name=f"MedIMeta: {DATASETS[result.dataset].name}, {result.task}",
            dataset_config=result.dataset,
            dataset_split=result.split,
            metric_type=_TYPES.get(metric, metric),
            metric_name=metric,
            metric_value=found.value,
            metric_args=None if found.low is None else {"interval_low": found.low, "interval_high": found.high},
        )
        for result in results
        for metric, found in result.metrics.items()
        if found.value is not None
    ]
    is_local = first.settings.get("model") is None or os.path.isdir(first.model)  # noqa: PTH112
    data = ModelCardData(
        model_name=name,
        base_model=None if is_local else first.model,
        library_name="transformers",
        pipeline_tag="image-feature-extraction" if backbone else "image-classification",
        tags=["medical", "medimeta"],
        eval_results=evaluations or None,
    )
    columns = [metric for metric in first.metrics if metric in ("auroc", "accuracy")]
    licences = {DATASETS[result.dataset].licence.id for result in results}
    text = _TEXT.format(
        title=f"{first.model}, {backbone}" if backbone else f"{DATASETS[first.dataset].name}: {first.task}",
        model=first.model,
        how=backbone or "fine-tuned",
        metrics=" | ".join(columns),
        rule="---|" * len(columns),
        rows="\n".join(
            f"| {r.dataset} | {r.task} | {r.split} | {' | '.join(str(r.metrics[c]) for c in columns)} |"
            for r in results
        ),
        interval=first.interval,
        settings="\n".join(f"* {key}: {value}" for key, value in first.settings.items()),
        auto="AutoModel" if backbone else "AutoModelForImageClassification",
        name=folder.name,
        licences=", ".join(sorted(licences)),
    )
    ModelCard(f"---\n{data.to_yaml()}\n---\n{text}").save(folder / "README.md")


def repository(pattern: str, task: Task) -> str:
    """The repository for the model of a task: {dataset} and {task} in the pattern are filled in."""
    return pattern.format(dataset=task.dataset, task=task.column)


def check_hub(pattern: str, tasks: Sequence[Task] = ()) -> None:
    """Refuse, before hours of training, what could not be uploaded after them.

    Args:
        pattern: The repository, see `repository`.
        tasks: Each gets a model; none if it is a backbone that is trained, whose repository is named in full.

    Raises:
        MedIMetaError: If the models would have the same repository, or nobody is logged in.
    """
    fields = {field for _, field, _, _ in Formatter().parse(pattern) if field is not None}
    if fields and not tasks:
        raise MedIMetaError(f"--push-to-hub {pattern}: a backbone is of no one task. Name a repository without {{}}.")
    repositories = {repository(pattern, task) for task in tasks} if fields <= {"dataset", "task"} else set()
    if len(repositories) < len(tasks):
        raise MedIMetaError(
            f"--push-to-hub {pattern} must name a repository per model, for {len(tasks)} of them. Put {{dataset}} and "
            "{task} into it, e.g. me/vit-{dataset}-{task}."
        )
    with _said("log in"):
        HfApi().whoami()


def push(folder: Path, repo: str) -> None:
    """Upload a model's folder in one commit; the repository is created if need be.

    What may pass is tried again, as training cannot be had again so cheaply.

    Raises:
        MedIMetaError: If the Hub refuses; the model is still in its folder.
    """
    api = HfApi()
    with _said(f"upload {folder} to {repo}"):
        patiently(lambda: api.create_repo(repo, exist_ok=True))
        patiently(lambda: api.upload_folder(repo_id=repo, folder_path=folder, commit_message="Upload model and card"))


@contextmanager
def _said(what: str) -> Iterator[None]:
    """Errors of the Hub's client as our own, without tokens."""
    try:
        yield
    except FAILURES as error:
        why = clean(str(error)).strip().partition("\n")[0]
        raise MedIMetaError(
            f"The Hub did not let us {what}: {why} Log in with a token that may write (hf auth login, or HF_TOKEN), "
            "and check the repository's name."
        ) from None
