"""Command `push`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .shared.console import print_text

if TYPE_CHECKING:
    from ..upload.push.publish import Pushed


def push(
    folder: Annotated[Path, typer.Argument(metavar="HUBDIR", help="The folder that `medimeta build` wrote.")],
    repo: Annotated[str, typer.Argument(metavar="REPO", help="<namespace>/<name>; created if it does not exist.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check, and show what would change, without changing it.")
    ] = False,
    only: Annotated[str, typer.Option(metavar="ID,...", help="Push only these datasets.")] = "",
    remove: Annotated[str, typer.Option(metavar="ID,...", help="Remove these datasets from the Hub.")] = "",
    tag: Annotated[
        str | None, typer.Option(help="Tag of the release, e.g. v1.2.0; existing tags are never moved.")
    ] = None,
    revision: Annotated[str, typer.Option(help="Branch to commit to; created if it does not exist.")] = "main",
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request instead.")] = False,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    gated: Annotated[
        str | None, typer.Option(help='Require readers to ask for access: granted "auto" or "manual".')
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Also publish incomplete datasets.")] = False,
    permissions: Annotated[
        str,
        typer.Option(
            "--i-hold-permission-for",
            metavar="ID,...",
            help="Datasets whose owners gave you written permission to redistribute the images.",
        ),
    ] = "",
    overwrite_card: Annotated[
        bool, typer.Option("--overwrite-card", help="Replace a README.md on the Hub whose YAML cannot be read.")
    ] = False,
    num_proc: Annotated[int, typer.Option(min=1, help="Processes that check rows.")] = 1,
) -> None:
    """Publish a Hub folder in one commit.

    Rerunning sends only what is missing. Datasets on the Hub that are not in the folder stay there, and so do files
    that this command did not create.
    """
    from huggingface_hub import constants

    from ..files.parallel import pool
    from ..files.remote.retry import quiet
    from ..files.version import VERSION
    from ..upload.push.options import PushOptions, Watch
    from ..upload.push.plan import Plan
    from ..upload.push.publish import push as publish
    from .shared.progress import byte_bars

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
        overwrite_card=overwrite_card,
    )
    quiet()
    with pool(num_proc) as (executor, workers), byte_bars() as progress:
        files = [path for name in options.only or ["*"] for path in folder.glob(f"{name}/*.parquet")]
        read = progress.add_task("reading, bytes", total=sum(path.stat().st_size for path in files))
        checked = progress.add_task("checking, rows", total=None, visible=False)
        sent = progress.add_task("sending, bytes", total=None, visible=False)

        def planned(plan: Plan) -> None:
            for task in (read, checked):
                progress.update(task, visible=False)
            progress.stop()  # the plan goes to standard output; a live display would garble it
            print_text(f"{repo}, {revision}:\n{plan.summary()}")
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
    print_text(_result(f"{constants.ENDPOINT}/datasets/{repo}", done))


def _result(url: str, done: Pushed) -> str:
    if done.commit is None:
        return "Dry run: nothing was changed."
    if done.revision.startswith("refs/pr/"):
        return f"Proposed in {url}/discussions/{done.revision.rpartition('/')[2]} (commit {done.commit})."
    where = f"{url}/tree/{done.revision} (commit {done.commit})"
    return f"Published: {where}." if done.made else f"Already there: {where}."


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in listed.split(",") if name.strip())
