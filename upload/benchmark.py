"""Benchmarks on the Hub: send a model's results to its repository, and read the leaderboards of a dataset."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import HfApi
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

from ..cards.benchmark import BENCHMARK, check_benchmark
from ..errors import MedIMetaError, PushFailed, SourceNotFound, unknown
from ..files.remote import access
from ..files.remote.repository import Remote
from ..files.remote.retry import patiently
from ..files.yaml_values import read_yaml

logger = logging.getLogger("medimeta")


class Entry(NamedTuple):
    """One value on a leaderboard.

    Attributes:
        task: Id of the task, see `cards.benchmark.task_id`.
        model: The model repository.
        value: As it was reported.
        notes: How it was measured, in the words of the report.
        verified: Whether the Hub verified it.
    """

    task: str
    model: str
    value: float
    notes: str
    verified: bool


def send_report(model: str, path: str, text: str, *, create_pr: bool, api: HfApi | None = None) -> str:
    """Commit a file of results to a model repository.

    Args:
        model: The repository, "<namespace>/<name>".
        path: Path of the file in it.
        text: Its content.
        create_pr: Whether to open a pull request instead of committing to `main`.
        api: The Hub's client.

    Returns:
        Address of the commit or the pull request.

    Raises:
        PushRefused: If the name has no namespace, or nobody is logged in.
        SourceNotFound: If the repository does not exist.
        PushFailed: If the Hub cannot be reached or refuses.
    """
    access.repository_name(model)
    access.logged_in(model, api)
    client = api or HfApi()
    try:
        done = patiently(
            lambda: client.upload_file(
                path_or_fileobj=text.encode(),
                path_in_repo=path,
                repo_id=model,
                commit_message="Report results on MedIMeta",
                create_pr=create_pr,
            ),
            (RepositoryNotFoundError,),
        )
    except RepositoryNotFoundError as error:
        raise SourceNotFound(f"There is no model repository {model}. Push the model first.") from error
    return str(done.pr_url or done.commit_url)


def read_leaderboard(repo: str, task: str | None = None, *, api: HfApi | None = None) -> list[Entry]:
    """Read the leaderboards of a dataset repository.

    The Hub says which models reported results, and where; the values of all tasks are read from those files. Files that
    are not in the Hub's form are left out.

    Args:
        repo: The repository, "<namespace>/<name>".
        task: Id of a task; None for all.
        api: The Hub's client.

    Returns:
        The values, by task in the order of eval.yaml, then by rank. Of several reports of one model, the highest.

    Raises:
        SourceNotFound: If the repository does not exist, or it is not a benchmark.
        UnknownName: If it has no such task.
        PushFailed: If the Hub cannot be reached.
    """
    client = api or HfApi()
    remote = Remote(repo, api=client)
    state = remote.state()
    if BENCHMARK not in state.files:
        raise SourceNotFound(f"{repo} is not a benchmark: there is no {BENCHMARK} in it, or no such repository.")
    tasks = check_benchmark(remote.read(BENCHMARK, state))
    if task is not None and task not in tasks:
        raise unknown(f"task of {repo}", task, tasks)
    rows = patiently(lambda: client.get_dataset_leaderboard(repo, base_model_only=False))
    reports = {(row.model_id, row.filename, row.pull_request): row.verified for row in rows}
    best: dict[tuple[str, str], Entry] = {}
    for (model, name, request), verified in sorted(reports.items(), key=str):
        for entry in _report(client, model, name, request):
            if entry.dataset_id != repo or entry.task_id not in tasks or task not in (None, entry.task_id):
                continue
            new = Entry(entry.task_id, model, float(entry.value), entry.notes or "", verified)
            old = best.get((new.task, model))
            best[new.task, model] = new if old is None or old.value < new.value else old
    return sorted(best.values(), key=lambda entry: (tasks.index(entry.task), -entry.value, entry.model))


def parse(text: str | bytes) -> list[Any]:
    """Read a file of `.eval_results` with the parser of the Hub's client.

    Raises:
        ValueError: If it is not such a file.
    """
    try:
        from huggingface_hub import parse_eval_result_entries
    except ImportError as error:
        raise MedIMetaError("Reports need a newer huggingface_hub: pip install -U huggingface_hub") from error

    try:
        entries = parse_eval_result_entries(read_yaml(text))
        for entry in entries:
            float(entry.value)
    except (TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"not a file of .eval_results ({type(error).__name__}: {error})") from None
    return entries


def _report(client: HfApi, model: str, name: str, request: int | None) -> list[Any]:
    """Return the entries of a model's report; none if it cannot be read."""
    path = name if "/" in name else f".eval_results/{name}"
    revision = None if request is None else f"refs/pr/{request}"
    try:
        place = patiently(
            lambda: client.hf_hub_download(model, path, revision=revision),
            (EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError),
        )
        return parse(Path(place).read_bytes())
    except (EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError, ValueError) as error:
        if isinstance(error, PushFailed):
            raise
        logger.warning("%s in %s is left out: %s", path, model, error)
        return []
