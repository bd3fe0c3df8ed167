"""The `medimeta` command: the commands of all rooms, and what becomes of errors."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

from ..cards.catalogue import DATASETS
from ..errors import MedIMetaError, UnknownName
from ..files.version import VERSION
from .build import build, card, demo, verify
from .console import err, out
from .experiments import PASS_ON, few_shot, pretrain, sweep, train, zero_shot
from .find import cite, list_datasets
from .info import info
from .learn import audit, cache, episodes
from .new_dataset import new_dataset
from .preview import preview
from .push import push
from .results import evaluate, table

# In the order of `medimeta --help`.
COMMANDS: dict[str, dict[str, Callable[..., None]]] = {
    "Find": {"list": list_datasets, "info": info, "cite": cite},
    "Learn": {"demo": demo, "episodes": episodes, "evaluate": evaluate, "table": table, "cache": cache},
    "Train": {"train": train, "pretrain": pretrain, "few-shot": few_shot, "zero-shot": zero_shot, "sweep": sweep},
    "Build": {"build": build, "verify": verify, "audit": audit, "new-dataset": new_dataset},
    "Publish": {"preview": preview, "card": card, "push": push},
}
RESUMABLE = ("build", "demo", "push")
_state = {"debug": False}


class _Interruptible(TyperGroup):
    """Ctrl-C ends any command in one line."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if _state["debug"]:
                err.print_exception()
            going_on = "What was finished is kept; run the same command to go on."
            whole = "Nothing is half written, and a download goes on where it was."
            err.print(f"Interrupted. {going_on if ctx.invoked_subcommand in RESUMABLE else whole}", soft_wrap=True)
            ctx.exit(130)


app = typer.Typer(
    cls=_Interruptible,
    help=f"MedIMeta: {len(DATASETS)} medical imaging datasets, {len(DATASETS.tasks())} tasks, one interface.",
    epilog="Start with: medimeta list, medimeta info ID. Exit codes: 0 worked, 1 did not, 2 a mistake in the command, "
    "130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich" if out.is_terminal else None,  # no boxes in a pipe
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group, commands in COMMANDS.items():
    for name, command in commands.items():
        app.command(name, rich_help_panel=group, context_settings=PASS_ON if group == "Train" else None)(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        out.print(f"medimeta-hf {VERSION}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    _state["debug"] = debug


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: exit code 0 when it worked, 1 when not, 2 for a mistake in it, 130 when interrupted."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="medimeta")
    except UnknownName as error:
        sys.exit(_fail(str(error), 2))
    except MedIMetaError as error:
        sys.exit(_fail(str(error), 1))
    except ModuleNotFoundError as error:
        sys.exit(_fail(f"This needs {error.name}. Install it with: pip install 'medimeta-hf[all]'", 1))
    except OSError as error:
        sys.exit(_fail(_os_problem(error), 1))


def _fail(message: str, code: int) -> int:
    if _state["debug"]:
        err.print_exception()
    err.print(f"[bold red]Error:[/bold red] {escape(message)}", soft_wrap=True, highlight=False)
    return code


def _os_problem(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    advice = {
        errno.ENOSPC: "Free some space and run the same command again; what was finished is kept.",
        errno.EROFS: "Choose an output folder that can be written.",
        errno.EACCES: "Choose a folder that you may read and write, or change its permissions.",
    }.get(error.errno or 0, "Run the command with --debug to see where it happened.")
    return f"{error.strerror or error}{where}. {advice}"


if __name__ == "__main__":
    main()
