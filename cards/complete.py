"""What the shell completes: ids, task names and the words that options take."""

from __future__ import annotations

import typer

from .catalogue import DATASETS, Target

USES = ("commercial",)


def dataset(incomplete: str) -> list[tuple[str, str]]:
    """Dataset ids with their names."""
    return [(name, card.name) for name, card in DATASETS.items() if name.startswith(incomplete)]


def task(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Columns of the tasks of the dataset that was typed before, with their names: no blanks to quote."""
    card = DATASETS.get(context.params.get("dataset") or "")
    return [(t.column, t.name) for t in (card.tasks if card else ()) if t.column.startswith(incomplete.lower())]


def domain(incomplete: str) -> list[str]:
    """Imaging domains."""
    return [name for name in DATASETS.domains if name.lower().startswith(incomplete.lower())]


def target(incomplete: str) -> list[str]:
    """Kinds of target."""
    targets: tuple[str, ...] = Target.__args__  # type: ignore[attr-defined]
    return [name for name in targets if name.startswith(incomplete)]


def use(incomplete: str) -> list[str]:
    """Uses that a licence may allow."""
    return [name for name in USES if name.startswith(incomplete)]


def labels(incomplete: str) -> list[str]:
    """Kinds of labels."""
    return [name for name in ("released", "corrected") if name.startswith(incomplete)]
