"""Errors that name the thing, say why, and say what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class MedIMetaError(ValueError):
    """A mistake or a fault that the user can act on; the command line prints it without a traceback."""


class CatalogueError(MedIMetaError):
    """A card (`cards/<id>.yaml`) that cannot be read or contradicts itself."""


class UnknownName(MedIMetaError, LookupError):
    """A dataset, task, split or option that does not exist."""


class SourceNotFound(MedIMetaError, FileNotFoundError):
    """No source where one was expected."""


class SourceIncomplete(MedIMetaError):
    """A source with fewer, more or other files than the published dataset has."""


class SourceBroken(MedIMetaError):
    """A file of the source that cannot be read as what it should be."""


class UnsafeArchive(SourceBroken):
    """An archive whose members would leave their folder or unpack without bound."""


class DownloadFailed(MedIMetaError, OSError):
    """A download that did not end with the right bytes."""


class PushFailed(MedIMetaError):
    """The Hub could not be reached, or did not accept what was sent."""


class PushRefused(MedIMetaError):
    """Something that would be wrong to publish."""


class MissingExtra(MedIMetaError, ImportError):
    """An optional package that is not installed."""


def missing_extra(package: str, extra: str, purpose: str) -> MissingExtra:
    """Compose the error for an optional package that is not installed."""
    return MissingExtra(f"{purpose} needs {package}. Install it with: pip install 'medimeta-hf[{extra}]'")


def unknown(what: str, name: object, choices: Iterable[str], *, hint: str = "") -> UnknownName:
    """Compose the error for a name that is not among the choices, close matches first.

    Args:
        what: What the name should have been, e.g. "dataset".
        name: The name given.
        choices: The valid names, in the order to show them.
        hint: A last sentence that says what to do next.
    """
    names = list(choices)
    by_lower = {choice.lower(): choice for choice in names}
    close = [by_lower[match] for match in get_close_matches(str(name).lower(), by_lower, n=3, cutoff=0.5)]
    suggestion = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
    return UnknownName(f"Unknown {what} {name!r}. {suggestion}Choices: {', '.join(names)}.{' ' + hint if hint else ''}")


def some(items: Sequence[object], limit: int = 5) -> str:
    """The first few items and how many more there are: "a, b and 134 more"."""
    shown = ", ".join(map(str, items[:limit]))
    return f"{shown} and {len(items) - limit:,} more" if len(items) > limit else shown
