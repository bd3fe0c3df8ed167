"""Names of files: those that match a pattern, and copies that browsers and file managers made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

# What browsers, file managers and synchronisation programs append to the name of a second copy.
COPY = re.compile(
    r"(?P<base>.+?)(?: \(\d+\)| - (?:Copy|Kopie|Copie|copia)(?: \(\d+\))?| copy(?: \d+)?|_copy\d*|"
    r" ?\([^()]*conflicted copy[^()]*\)|\.sync-conflict-[\w-]+)(?P<suffix>\.tar\.gz|\.[^.]+)",
    re.IGNORECASE,
)


def matching(paths: Iterable[str], pattern: str) -> Iterator[tuple[str, str]]:
    """The paths that match a pattern in any case, each with its spelling as in the pattern.

    Args:
        paths: Paths with forward slashes.
        pattern: `*` is anything within one folder level, `{a,b}` one of some words.
    """
    pieces = re.split(r"(\*|\{[^}]*\})", pattern)
    choices = [piece[1:-1].split(",") if piece.startswith("{") else None for piece in pieces]
    expression = "".join(
        "([^/]*)" if piece == "*" else f"({'|'.join(map(re.escape, words))})" if words else f"({re.escape(piece)})"
        for piece, words in zip(pieces, choices, strict=True)
    )
    compiled = re.compile(expression, re.IGNORECASE)
    spelled = [
        {word.casefold(): word for word in words or [piece]} for piece, words in zip(pieces, choices, strict=True)
    ]
    for path in paths:
        if match := compiled.fullmatch(path):
            texts = zip(match.groups(), pieces, spelled, strict=True)
            yield path, "".join(text if piece == "*" else words[text.casefold()] for text, piece, words in texts)


def without_copies(paths: Iterable[str], names: str = "") -> tuple[list[str], list[str]]:
    """Sort paths, without copies of others among them, and set apart those that the source cannot have.

    Args:
        paths: Paths with forward slashes.
        names: Regular expression of the file names that the source has; "" if they can be any.

    Returns:
        Originals, and files that are neither originals nor copies of one.
    """
    originals: list[str] = []
    foreign: list[str] = []
    known = set(paths)
    for path in sorted(known):
        folder, _, name = path.rpartition("/")
        copy = COPY.fullmatch(name)
        if names and re.fullmatch(names, name):
            originals.append(path)
        elif copy and f"{folder}/{copy['base']}{copy['suffix']}" in known:
            continue
        else:
            (foreign if names else originals).append(path)
    return originals, foreign
