"""What the shell completes: ids, task names, splits and the words that options take."""

from __future__ import annotations

import os
import re

import typer

from ..cards.catalogue import DATASETS
from ..cards.facts import SPLITS, Kind

USES = ("commercial",)


def dataset(incomplete: str) -> list[tuple[str, str]]:
    """Dataset ids with their names."""
    return [(name, card.name) for name, card in DATASETS.items() if name.startswith(incomplete)]


def task(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Columns of the tasks of the dataset that was typed before, with their names: no blanks to quote."""
    card = DATASETS.get(context.params.get("dataset") or "")
    return [(t.column, t.name) for t in (card.tasks if card else ()) if t.column.startswith(incomplete.lower())]


def split(incomplete: str) -> list[str]:
    """Splits; the last of those that a "+" joins."""
    before, plus, last = incomplete.rpartition("+")
    return [f"{before}{plus}{name}" for name in SPLITS if name.startswith(last)]


def domain(incomplete: str) -> list[str]:
    """Imaging domains."""
    names = [name for name in DATASETS.domains if name.lower().startswith(incomplete.lower())]
    if os.environ.get("_MEDIMETA_COMPLETE") == "complete_bash":  # takes a word as it would be typed; other shells quote
        names = [re.sub(r"([^\w-])", r"\\\1", name) for name in names]
    return names


def kind(incomplete: str) -> list[str]:
    """Kinds of task."""
    kinds: tuple[str, ...] = Kind.__args__  # type: ignore[attr-defined]
    return [name for name in kinds if name.startswith(incomplete)]


def use(incomplete: str) -> list[str]:
    """Uses that a licence may allow."""
    return [name for name in USES if name.startswith(incomplete)]


def labels(incomplete: str) -> list[str]:
    """Kinds of labels."""
    return [name for name in ("released", "corrected") if name.startswith(incomplete)]
