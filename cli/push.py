"""`medimeta push` as a command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from .console import err, out

if TYPE_CHECKING:
    from ..upload.push.publish import Pushed


def push(
    folder: Annotated[Path, typer.Argument(metavar="HUBDIR", help="The folder that `medimeta build` wrote.")],
    repo: Annotated[str, typer.Argument(metavar="REPO", help="<namespace>/<name>; made when it is not there.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and show what would change; change nothing.")
    ] = False,
    only: Annotated[str, typer.Option(metavar="ID,...", help="Push only these datasets.")] = "",
    remove: Annotated[str, typer.Option(metavar="ID,...", help="Take these datasets off the Hub.")] = "",
    tag: Annotated[str | None, typer.Option(help="Name of the release, as v1.2.0; tags do not move.")] = None,
    revision: Annotated[str, typer.Option(help="Branch to commit to; made when it is not there.")] = "main",
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request instead.")] = False,
    private: Annotated[bool, typer.Option("--private", help="A new repository is only for you.")] = False,
    gated: Annotated[str | None, typer.Option(help='Readers must ask: "auto" lets them in, "manual" you.')] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Publish incomplete datasets, too.")] = False,
    permissions: Annotated[
        str,
        typer.Option(
            "--i-hold-permission-for",
            metavar="ID,...",
            help="Datasets whose owners allowed you in writing to pass their images on.",
        ),
    ] = "",
    num_proc: Annotated[int, typer.Option(min=1, help="Processes that check rows.")] = 1,
) -> None:
    """Publish a folder on the Hub in one commit.

    A second run sends what is missing, or nothing.
    Datasets that are on the Hub and not in the folder stay there. Files that this command did not make are left alone.
    """
    from huggingface_hub import constants

    from ..files.parallel import pool
    from ..files.retry import quiet
    from ..files.version import VERSION
    from ..upload.push.options import PushOptions, Watch
    from ..upload.push.plan import Plan
    from ..upload.push.publish import push as publish

    options = PushOptions(
        only=_names(only),
        remove=_names(remove),
        revision=revision,
        private=private,
        gated=gated,
        create_pr=create_pr,
        tag=tag,
        partial=partial,
        permissions=_names(permissions),
        dry_run=dry_run,
    )
    quiet()
    with pool(num_proc) as (executor, workers), _progress() as progress:
        files = [path for name in options.only or ["*"] for path in folder.glob(f"{name}/*.parquet")]
        read = progress.add_task("reading, bytes", total=sum(path.stat().st_size for path in files))
        checked = progress.add_task("checking, rows", total=None, visible=False)
        sent = progress.add_task("sending, bytes", total=None, visible=False)

        def planned(plan: Plan) -> None:
            for task in (read, checked):
                progress.update(task, visible=False)
            progress.stop()  # the plan is for standard output, where a live display would tear it
            out.print(f"{repo}, {revision}:\n{plan.summary()}", markup=False, highlight=False, soft_wrap=True)
            progress.update(sent, total=plan.bytes, visible=not plan.empty and not dry_run)
            progress.start()

        watch = Watch(
            read=lambda size: progress.advance(read, size),
            planned=planned,
            checked=lambda rows: progress.update(checked, advance=rows, visible=True),
            sent=lambda size: progress.advance(sent, size),
        )
        common: Any = {"executor": executor, "workers": workers, "watch": watch}
        done = publish(folder, repo, options, version=VERSION, **common)
    out.print(_result(f"{constants.ENDPOINT}/datasets/{repo}", done), markup=False, highlight=False, soft_wrap=True)


def _result(url: str, done: Pushed) -> str:
    if done.commit is None:
        return "Dry run: nothing was changed."
    if done.revision.startswith("refs/pr/"):
        return f"Proposed in {url}/discussions/{done.revision.rpartition('/')[2]} (commit {done.commit})."
    where = f"{url}/tree/{done.revision} (commit {done.commit})"
    return f"Published: {where}." if done.made else f"Already there: {where}."


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in listed.split(",") if name.strip())


def _progress() -> Progress:
    columns = (TextColumn("{task.description} {task.completed:>15,.0f}"), BarColumn(), TaskProgressColumn())
    return Progress(*columns, TimeRemainingColumn(), console=err, disable=not err.is_terminal)
