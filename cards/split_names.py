"""Names of splits that "+" joins, such as "train+val"."""

from __future__ import annotations

from ..errors import UnknownName
from .facts import split_name


def split_names(split: str) -> tuple[str, ...]:
    """Return the full names of the splits that "+" joins, as given: "train+val" is ("train", "validation").

    Raises:
        UnknownName: If the split does not exist, or one is named twice.
    """
    names = tuple(split_name(part.strip()) for part in str(split).split("+"))
    if len(set(names)) < len(names):
        raise UnknownName(f"{split!r} names a split twice. Name each once.")
    return names


def join_splits(split: str) -> str:
    """Return the same splits under their full names: "train + val" is "train+validation".

    Raises:
        UnknownName: As for `split_names`.
    """
    return "+".join(split_names(split))
