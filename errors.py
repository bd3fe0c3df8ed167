"""Errors that name the problem, its reason and the next step, and helpers that word them.

Every error has a `code`: a short stable name for programs, such as "source-not-found". Messages may change, codes do
not. A class has a default code; `code=` names a more specific situation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

PACKAGE = "medimeta-hf"
# Characters that terminals act upon instead of showing them, line separators, and bytes that are not valid UTF-8.
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


class MedIMetaError(ValueError):
    """A mistake or a fault that the user can act on; the command line prints it without a traceback.

    Texts from files may be of any length: words of a message over 1,000 characters, and messages over 20,000, are cut.

    Args:
        *args: The message.
        code: A more specific code than that of the class.

    Attributes:
        code: Stable name of the situation, for programs.
    """

    code = "error"

    def __init__(self, *args: object, code: str | None = None) -> None:
        super().__init__(*(_bounded(arg) if isinstance(arg, str) else arg for arg in args))
        if code is not None:
            self.code = code


class CatalogueError(MedIMetaError):
    """A card (`cards/<id>.yaml`) that cannot be read or contradicts itself."""

    code = "invalid-card"


class UnknownName(MedIMetaError, LookupError):
    """A dataset, task, split or option that does not exist."""

    code = "unknown-name"


class SourceNotFound(MedIMetaError, FileNotFoundError):
    """A source or file that does not exist."""

    code = "source-not-found"


class SourceIncomplete(MedIMetaError):
    """A source with fewer, more or other files than the published dataset has."""

    code = "source-incomplete"


class SourceBroken(MedIMetaError):
    """A file of a source that cannot be read or has the wrong content."""

    code = "source-broken"


class UnsafeArchive(SourceBroken):
    """An archive whose members would be written outside its folder or unpack to more than the limits allow."""

    code = "unsafe-archive"


class DownloadFailed(MedIMetaError, OSError):
    """A download that failed or gave the wrong bytes."""

    code = "download-failed"


class PushFailed(MedIMetaError):
    """The Hub could not be reached or rejected a request."""

    code = "push-failed"


class PushRefused(MedIMetaError):
    """A push that this package refuses to make."""

    code = "push-refused"


class MissingExtra(MedIMetaError, ImportError):
    """An optional package that is not installed."""

    code = "missing-extra"


def missing_extra(package: str, extra: str, purpose: str) -> MissingExtra:
    """Return the error for an optional package that is not installed.

    Args:
        package: The package to import.
        extra: The extra of this package that lists it, e.g. "build".
        purpose: What needs it, as the subject of a sentence.
    """
    return MissingExtra(f"{purpose} needs {package}. Install it with: {install_command(extra)}")


def install_command(extra: str) -> str:
    """Return the command that installs an extra.

    It lists the requirements of the extra instead of naming this package: that works for every kind of installation
    (checkout, editable, wheel, index).

    Args:
        extra: "build", "cluster", "train" or "all".
    """
    return f"pip install {' '.join(_quoted(requirement) for requirement in _requirements(extra))}"


def _requirements(extra: str) -> list[str]:
    """Requirements of an extra, from the installed metadata or the checkout's pyproject.toml."""
    from importlib.metadata import PackageNotFoundError, requires

    project = Path(__file__).resolve().parent / "pyproject.toml"
    if project.is_file():
        import tomllib

        extras = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
        own = re.compile(rf"{PACKAGE}\[([\w,]+)\]")
        nested = [match[1].split(",") for line in extras[extra] if (match := own.fullmatch(line))]
        plain = [line for line in extras[extra] if not own.fullmatch(line)]
        return plain + [line for names in nested for name in names for line in _requirements(name)]
    try:
        lines = requires(PACKAGE) or []
    except PackageNotFoundError:  # copied by hand
        lines = []
    pattern = re.compile(rf"(.+?) *; *extra == ['\"]{extra}['\"]")
    return [match[1] for line in lines if (match := pattern.fullmatch(line))] or [f"{PACKAGE}[{extra}]"]


def _quoted(requirement: str) -> str:
    return f"'{requirement}'" if re.search(r"[^\w.-]", requirement) else requirement


def unknown(what: str, name: object, choices: Iterable[str], *, hint: str = "") -> UnknownName:
    """Return the error for a name that is not among the choices; close matches come first.

    Its code is made of `what`: "unknown-dataset", "unknown-kind-of-labels", "unknown-task" (of "task of bus").

    Args:
        what: What the name should have been, e.g. "dataset".
        name: The name given.
        choices: The valid names, in the order to show them.
        hint: A last sentence with the next step.
    """
    names = list(choices)
    by_lower = {choice.lower(): choice for choice in names}
    close = [by_lower[match] for match in get_close_matches(str(name).lower(), by_lower, n=3, cutoff=0.5)]
    thing = what if what.startswith(("kind of ", "choice of ")) else re.split(" (?:of|in) ", what)[0]
    suggestion = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
    return UnknownName(
        f"Unknown {what} {name!r}. {suggestion}Choices: {', '.join(names)}.{' ' + hint if hint else ''}",
        code=f"unknown-{thing.replace(' ', '-')}",
    )


def some(items: Sequence[object], limit: int = 5) -> str:
    """List the first few items and count the others: "a, b and 134 more"."""
    shown = ", ".join(visible(str(item)) for item in items[:limit])
    return f"{shown} and {len(items) - limit:,} more" if len(items) > limit else shown


def _bounded(message: str) -> str:
    message = re.sub(r"\S{1000,}", lambda word: f"{word[0][:200]}...{word[0][-100:]}", message)
    return message if len(message) <= 20_000 else f"{message[:10_000]}\n...\n{message[-5_000:]}"


def visible(text: str, keep: str = "") -> str:
    r"""Escape what a terminal would act upon: control characters, text direction marks, undecodable bytes.

    Args:
        text: Text that may hold names from files, archives or servers.
        keep: Control characters to leave, such as "\n".
    """

    def escaped(match: re.Match[str]) -> str:
        return match[0] if match[0] in keep else match[0].encode("unicode_escape").decode()

    return _INVISIBLE.sub(escaped, text)
