"""Commands `report`, `leaderboard` and `diff`: results and releases on the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .shared import completion as complete
from .shared.console import print_json, print_table, print_text
from .shared.options import AsJson, NumProc


def report(
    model: Annotated[str, typer.Argument(metavar="MODEL_REPO", help="Model repository, <namespace>/<name>.")],
    places: Annotated[
        list[Path], typer.Option("--from", metavar="RESULTS", help="result.json, or a folder of them; can be repeated.")
    ],
    benchmark: Annotated[str, typer.Option(help="Dataset repository that was evaluated, <namespace>/<name>.")],
    revision: Annotated[str | None, typer.Option(help="Its tag, branch or commit that was evaluated.")] = None,
    source: Annotated[str | None, typer.Option(help="Address of the evaluation's logs.")] = None,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request instead.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the file.")] = False,
) -> None:
    """Report results in a model repository, so that they are on the leaderboards of the dataset."""
    from ..learn.evaluation import hub_results
    from ..learn.evaluation.results import results
    from ..upload.benchmark import parse, send_report

    measured = [result for _, result in results(places)]
    text = hub_results.render(measured, benchmark, revision=revision, source=source)
    if dry_run:
        print_text(text)
        return
    where = send_report(model, hub_results.FILE, text, create_pr=create_pr)
    print_text(f"Reported {len(parse(text))} task(s): {where}")


def leaderboard(
    repo: Annotated[str, typer.Argument(metavar="REPO", help="Dataset repository with an eval.yaml.")],
    task: Annotated[str | None, typer.Option(help="Only this task, e.g. bus.malignancy.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the leaderboards of a dataset repository: models down, or, for all tasks, tasks down and models across."""
    from ..upload.benchmark import read_leaderboard

    board = read_leaderboard(repo, task)
    if as_json:
        print_json([entry._asdict() for entry in board])
        return
    models = sorted({entry.model for entry in board})
    values = {(entry.task, entry.model): entry.value for entry in board}
    tasks = list(dict.fromkeys(entry.task for entry in board))
    if task is not None:
        ranked = sorted(board, key=lambda entry: (-entry.value, entry.model))
        rows = [[str(rank), entry.model, f"{entry.value:.4f}", entry.notes] for rank, entry in enumerate(ranked, 1)]
        print_table(["rank", "model", "value", "notes"], rows, right=(0, 2), titles=True)
        return
    rows = []
    for name in tasks:
        best = max(value for (of, _), value in values.items() if of == name)
        cells = [values.get((name, model)) for model in models]
        rows.append([name, *("" if v is None else f"{v:.4f}{'*' if v == best else ''}" for v in cells)])
    print_table(["task", *models], rows, right=range(1, len(models) + 1), titles=True)
    print_text(f"{len(tasks)} task(s), {len(models)} model(s); * is the best value of a task.")


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="Hub folder, or repository such as ns/medimeta@v1.0.0.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same.")],
    only: Annotated[
        str | None, typer.Option(metavar="ID", help="Only this dataset.", autocompletion=complete.dataset)
    ] = None,
    num_proc: NumProc = 1,
    as_json: AsJson = False,
) -> None:
    """Show what changed between two releases: rows, labels, splits, pixels. Exit code 1 means that something did."""
    from ..builders.hub.repository import hub_folder
    from ..files.parallel import pool
    from ..upload.verify.releases import compare_releases

    with pool(num_proc) as (executor, workers):
        changes = compare_releases(
            hub_folder(old), hub_folder(new), None if only is None else [only], executor=executor, workers=workers
        )
    if as_json:
        print_json(changes.as_dict())
    else:
        print_text(changes.summary())
    raise typer.Exit(0 if changes.equal else 1)
