"""The model card of a trained model, with its results as metadata (`model-index`), and its upload to the Hub."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from string import Formatter
from typing import Any

from huggingface_hub import EvalResult, HfApi, ModelCard, ModelCardData

from ...builders.hub.repository import repository as repository_of
from ...cards.benchmark import SPLIT
from ...cards.catalogue import DATASETS
from ...cards.facts import Task
from ...errors import MedIMetaError
from ...files.atomic import whole_file
from ...files.remote.retry import FAILURES, clean, patiently
from ..encoders.backbone import WEIGHTS
from ..encoders.models import HEAD
from ..evaluation import hub_results
from ..evaluation.results import Result

_TYPES = {"auroc": "roc_auc", "accuracy": "accuracy", "f1": "f1", "mae": "mae"}  # names that the Hub knows

_TEXT = """
# {title}

{model} {how} on [MedIMeta](https://arxiv.org/abs/2404.16000).
{incomplete}
| dataset | task | split | {metrics} |
|---|---|---|{rule}
{rows}

Intervals: {interval}.

## Settings

{settings}

## Use

```python
{usage}
```

The images and labels have their own licences: {licences}. The model is for research, not for diagnosis.
"""


_INCOMPLETE = """
> **Incomplete data.** The source lacked images, or had others than published (`partial`). Do not compare these results
> with published ones.
"""


def write_card(
    folder: Path,
    results: Sequence[Result],
    *,
    backbone: str | None = None,
    repo: str | None = None,
    data_dir: str | None = None,
) -> None:
    """Write README.md into the folder of a model, and `.eval_results` if its data came from a repository on the Hub.

    Args:
        folder: Folder of the model.
        results: One or more results of this model, with the same settings.
        backbone: For a model without a head, how it was trained, e.g. "pre-trained on 18 tasks".
        repo: The repository that the model is uploaded to, if any; the example in the card loads it from there.
        data_dir: Where the data came from. If it is a repository, the card names it, and `.eval_results` reports the
            results of test splits to it.
    """
    first = results[0]
    benchmark = None if data_dir is None else repository_of(data_dir)
    reported = [result for result in results if result.split == SPLIT]
    if benchmark is not None and reported:
        with whole_file(folder / hub_results.FILE) as partial:
            text = hub_results.render(reported, benchmark.repo, revision=benchmark.revision)
            partial.write_text(text, encoding="utf-8")
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
            metric_value=measured.value,
            metric_args=None
            if measured.low is None
            else {"interval_low": measured.low, "interval_high": measured.high},
        )
        for result in results
        for metric, measured in result.metrics.items()
        if measured.value is not None
    ]
    licences = sorted({DATASETS[result.dataset].licence.id for result in results})
    library = _library(folder)
    data = ModelCardData(
        model_name=name,
        **_licence(licences),
        base_model=None if first.settings.get("model") is None else _base_model(first.model),
        datasets=["medimeta" if benchmark is None else benchmark.repo],
        library_name=library,
        pipeline_tag="image-feature-extraction" if backbone else "image-classification",
        tags=["medical", "medimeta"],
        eval_results=evaluations or None,
    )
    columns = [metric for metric in first.metrics if metric in ("auroc", "accuracy")]
    text = _TEXT.format(
        title=f"{first.model}, {backbone}" if backbone else f"{DATASETS[first.dataset].name}: {first.task}",
        model=first.model,
        how=backbone or "fine-tuned",
        incomplete=_INCOMPLETE if any(result.settings.get("partial") for result in results) else "",
        metrics=" | ".join(columns),
        rule="---|" * len(columns),
        rows="\n".join(
            f"| {r.dataset} | {r.task} | {r.split} | {' | '.join(str(r.metrics[c]) for c in columns)} |"
            for r in results
        ),
        interval=first.interval,
        settings="\n".join(f"* {key}: {value}" for key, value in first.settings.items()),
        usage=_usage(folder, repo or folder.as_posix(), library, backbone=backbone is not None),
        licences=", ".join(licences),
    )
    ModelCard(f"---\n{data.to_yaml()}\n---\n{text}").save(folder / "README.md")


def _library(folder: Path) -> str | None:
    """Return the library that opens the model; None for a module of the user's own."""
    if (folder / "open_clip_config.json").is_file():
        return "open_clip"
    if not (folder / "config.json").is_file():
        return None
    return "transformers" if "model_type" in json.loads((folder / "config.json").read_text("utf-8")) else "timm"


def _usage(folder: Path, name: str, library: str | None, *, backbone: bool) -> str:
    head = (folder / HEAD).is_file()
    if library == "transformers" and not head:
        auto = "AutoModel" if backbone else "AutoModelForImageClassification"
        return f'from transformers import {auto}\n\nmodel = {auto}.from_pretrained("{name}")'
    if library is None:
        return f"# The weights of your own module are in {WEIGHTS}: load them with safetensors."
    lines = ["import medimeta", "", f'encoder = medimeta.encoder("{name}")  # images to features']
    if head:
        lines += [f"# {HEAD}: weight, shape (outputs, {{width}}), and bias of the linear head on these features"]
    return "\n".join(lines).replace("{width}", "encoder.width")


def _licence(licences: Sequence[str]) -> dict[str, Any]:
    """Return the metadata for the licences of the training data: the Hub's identifier if one applies to all."""
    if len(licences) == 1 and licences[0].startswith("CC-"):
        return {"license": licences[0].lower()}
    return {"license": "other", "license_name": "-and-".join(licences).lower().replace("licenseref-", "")}


def _base_model(model: str) -> str | None:
    """Return the base model on the Hub: the name itself, or for a folder the base model in its card."""
    folder = Path(model)
    if not folder.is_dir():
        return model
    card = folder / "README.md"
    return ModelCard.load(card).data.get("base_model") if card.exists() else None


def repository(pattern: str, task: Task) -> str:
    """Return the repository for the model of a task: {dataset} and {task} in the pattern are filled in."""
    return pattern.format(dataset=task.dataset, task=task.column)


def check_hub(pattern: str, tasks: Sequence[Task] = ()) -> None:
    """Check, before training, that models can be uploaded afterwards.

    Args:
        pattern: The repository, see `repository`.
        tasks: The tasks, each with its model; none for a backbone, whose repository is named in full.

    Raises:
        MedIMetaError: If models would share a repository, or nobody is logged in.
    """
    fields = {field for _, field, _, _ in Formatter().parse(pattern) if field is not None}
    if fields and not tasks:
        raise MedIMetaError(
            f"--push-to-hub {pattern}: a backbone does not belong to one task. Name a repository without {{}}."
        )
    repositories = {repository(pattern, task) for task in tasks} if fields <= {"dataset", "task"} else set()
    if len(repositories) < len(tasks):
        raise MedIMetaError(
            f"--push-to-hub {pattern} must name one repository for each of {len(tasks)} models. Put {{dataset}} and "
            "{task} into it, e.g. me/vit-{dataset}-{task}."
        )
    with _explained("log in"):
        HfApi().whoami()


def push(folder: Path, repo: str) -> None:
    """Upload the folder of a model in one commit; the repository is created if needed, and transient errors retried.

    Raises:
        MedIMetaError: If the Hub refuses; the model stays in its folder.
    """
    api = HfApi()
    with _explained(f"upload {folder} to {repo}"):
        patiently(lambda: api.create_repo(repo, exist_ok=True))
        patiently(lambda: api.upload_folder(repo_id=repo, folder_path=folder, commit_message="Upload model and card"))


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn errors of the Hub's client into a `MedIMetaError` without tokens."""
    try:
        yield
    except FAILURES as error:
        why = clean(str(error)).strip().partition("\n")[0]
        raise MedIMetaError(
            f"Cannot {what}: {why} Log in with a token that may write (hf auth login, or HF_TOKEN), and check the "
            "repository's name."
        ) from None
