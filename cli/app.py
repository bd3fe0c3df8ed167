"""The `medimeta` command: the table of commands, and how errors end."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..errors import MedIMetaError, UnknownName, install_command, visible
from ..files.remote.network import offline_variable
from ..files.version import VERSION
from . import build, demo, find, hub, info, machine, new_dataset, preview, push, questions, show
from .learning import bench, corruptions, experiments, features, learn, results
from .shared.console import err, make_streams_safe, print_error

# Commands by group, in the order of `medimeta --help`. A new command is one entry here.
COMMANDS: dict[str, dict[str, Callable[..., None]]] = {
    "Find": {
        "list": find.list_datasets,
        "info": info.info,
        "show": show.show,
        "corruptions": corruptions.corruptions,
        "cite": find.cite,
    },
    "Learn": {
        "demo": demo.demo,
        "episodes": learn.episodes,
        "evaluate": results.evaluate,
        "table": results.table,
        "bench-report": bench.report,
    },
    "Train": {
        "train": experiments.train,
        "pretrain": experiments.pretrain,
        "few-shot": experiments.few_shot,
        "zero-shot": experiments.zero_shot,
        "sweep": experiments.sweep,
        "bench": bench.bench,
    },
    "Build": {
        "build": build.build,
        "questions": questions.questions,
        "verify": build.verify,
        "audit": learn.audit,
        "new-dataset": new_dataset.new_dataset,
    },
    "This machine": {"download": machine.download, "cache": machine.cache, "env": machine.env},
    "Publish": {
        "preview": preview.preview,
        "card": build.card,
        "push": push.push,
        "diff": hub.diff,
        "report": hub.report,
        "leaderboard": hub.leaderboard,
        "features": features.features,
    },
}
RESUMABLE = ("bench", "build", "demo", "download", "push")
_UsageError: Any = typer.BadParameter.__base__
_state = {"debug": False}


class _Group(TyperGroup):
    """Lists commands in their groups with whole sentences, and ends Ctrl-C in one line."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands by group; click would cut their help at one line."""
        width = max(len(name) for commands in COMMANDS.values() for name in commands)
        for group, commands in COMMANDS.items():
            with formatter.section(group):
                formatter.write_dl(
                    [(name.ljust(width), _first_sentence(command)) for name, command in commands.items()]
                )

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the options before the command."""
        try:
            return super().make_context(*args, **kwargs)
        except _UsageError as error:
            error.message = visible(error.message)
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            error.message = visible(error.message)
            raise
        except KeyboardInterrupt:
            if _state["debug"]:
                err().print_exception()
            resumable = "Finished parts are kept; rerun the command to continue."
            atomic = "No file is half written; a download resumes where it stopped."
            print_error(f"Interrupted. {resumable if ctx.invoked_subcommand in RESUMABLE else atomic}")
            ctx.exit(130)


def _first_sentence(command: Callable[..., None]) -> str:
    return (command.__doc__ or "").partition("\n")[0]


app = typer.Typer(
    cls=_Group,
    help="MedIMeta: medical imaging datasets and tasks for the Hugging Face ecosystem, with one interface.",
    epilog="Start with: medimeta list, medimeta info ID. Exit codes: 0 success, 1 failure, 2 wrong usage, "
    "130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: the same in a pipe, never cut, and no rich to import
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _group, _commands in COMMANDS.items():
    for _name, _command in _commands.items():
        app.command(_name, context_settings=experiments.PASS_ON if _group == "Train" else None)(_command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"medimeta-hf {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and codes of errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    _state["debug"] = debug


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 success, 1 failure, 2 wrong usage, 130 interrupted.

    Args:
        arguments: The arguments; those of the process by default.
    """
    make_streams_safe()
    _heed_offline()
    try:
        app(args=None if arguments is None else list(arguments), prog_name="medimeta")
    except UnknownName as error:
        sys.exit(_fail(str(error), 2, error.code))
    except MedIMetaError as error:
        sys.exit(_fail(str(error), 1, error.code))
    except ModuleNotFoundError as error:
        sys.exit(_fail(f"This needs {error.name}. Install it with: {install_command('all')}", 1, "missing-extra"))
    except UnicodeEncodeError as error:  # from libraries that take UTF-8 names only
        name = visible(error.object)
        sys.exit(_fail(f"{name} is a name that is not valid UTF-8. Rename the file, and rerun.", 1, "undecodable-name"))
    except OSError as error:
        sys.exit(_fail(_os_problem(error), 1, "system-error"))


def _heed_offline() -> None:
    """Let every library stay offline if the variable of one says so, rather than retry for a minute."""
    if offline_variable() and "huggingface_hub" not in sys.modules:  # it reads the variable when it is imported
        os.environ["HF_HUB_OFFLINE"] = "1"


def _fail(message: str, exit_code: int, code: str) -> int:
    if _state["debug"]:
        err().print_exception()
        message = f"{message} [{code}]"
    print_error(message, "Error:")
    return exit_code


def _os_problem(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    advice = {
        errno.ENOSPC: "Free some space and rerun the command; finished parts are kept.",
        errno.EROFS: "Choose an output folder that can be written.",
        errno.ENOTDIR: "A part of this path is a file. Choose another folder.",
        errno.EACCES: "Choose a folder that you can read and write, or change its permissions.",
    }.get(error.errno or 0, "Rerun the command with --debug to see where it happened.")
    return f"{error.strerror or error}{where}. {advice}"
