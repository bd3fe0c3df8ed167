"""Errors that name the thing, say why, and say what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class MedIMetaError(ValueError):
    """A mistake or a fault that the user can act on; the command line prints it without a traceback."""


class CatalogueError(MedIMetaError):
    """A `cards/*.yaml` file that cannot be read or contradicts itself."""


class UnknownName(MedIMetaError, LookupError):
    """A dataset, task, split or option that does not exist."""


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
