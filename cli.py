"""The `medimeta` command: the commands of all rooms, and what becomes of errors."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.markup import escape

from medimeta.cards.commands import info, list_datasets
from medimeta.cards.console import err
from medimeta.cards.errors import MedIMetaError, UnknownName
from medimeta.tasks.commands import audit, episodes
from medimeta.upload.build_commands import build, card, demo, verify
from medimeta.upload.commands import push
from medimeta.upload.preview.command import preview

app = typer.Typer(
    help="MedIMeta: 19 medical imaging datasets, 54 tasks, one interface.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("list")(list_datasets)
for command in (info, build, card, preview, verify, audit, push, episodes, demo):
    app.command()(command)

_state = {"debug": False}


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    _state["debug"] = debug


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: exit code 0 when it worked, 1 when it did not, 2 for a mistake in the command."""
    try:
        app(args=None if arguments is None else list(arguments))
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
