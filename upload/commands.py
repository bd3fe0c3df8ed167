"""`medimeta push` as a command."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from .push import Pushed


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
    """Publish a folder on the Hub in one commit; a second run sends what is missing, or nothing.

    Datasets that are on the Hub and not in the folder stay there. Files that this command did not make are left alone.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]
    from huggingface_hub.utils.logging import set_verbosity

    from .. import __version__
    from ..builders.parallel import pool
    from .plan import Plan
    from .push import push as publish
    from .push_options import PushOptions, Watch

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
    if constants.HF_HUB_DISABLE_PROGRESS_BARS is None:
        disable_progress_bars()  # they would fight with ours
    set_verbosity(logging.ERROR)  # its warnings show signed addresses
    out, err = Console(), Console(stderr=True)
    try:
        with pool(num_proc) as (executor, workers), _progress(err) as progress:
            read = progress.add_task("read, bytes", total=sum(p.stat().st_size for p in folder.glob("*/*.parquet")))
            checked = progress.add_task("checked, rows", total=None)
            sent = progress.add_task("sent, bytes", total=None)

            def planned(plan: Plan) -> None:
                progress.update(sent, total=plan.bytes)
                progress.stop()  # the plan is for standard output, where a live display would tear it
                out.print(f"{repo}, {revision}:\n{plan.summary()}", markup=False, highlight=False, soft_wrap=True)
                progress.start()

            watch = Watch(
                read=lambda size: progress.advance(read, size),
                planned=planned,
                checked=lambda rows: progress.advance(checked, rows),
                sent=lambda size: progress.advance(sent, size),
            )
            common: Any = {"executor": executor, "workers": workers, "watch": watch}
            done = publish(folder, repo, options, version=__version__, **common)
    except KeyboardInterrupt:
        err.print("Interrupted. What has arrived stays on the Hub; run the same command to go on.")
        raise typer.Exit(1) from None
    out.print(_result(repo, done), markup=False, highlight=False, soft_wrap=True)


def _result(repo: str, done: Pushed) -> str:
    if done.commit is None:
        return "Dry run: nothing was changed."
    first = min(path for path in done.plan.files if path.endswith(".parquet")).partition("/")[0]
    where = f"{done.revision}, commit {done.commit}"
    if not done.made:
        return f"{repo} holds this already: {where}."
    return f"Published: {where}. Load it with: load_dataset({repo!r}, {first!r})"


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in listed.split(",") if name.strip())


def _progress(console: Console) -> Progress:
    amount = TextColumn("{task.completed:>15,.0f}")
    return Progress(
        TextColumn("{task.description:<14}"),
        amount,
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
    )
