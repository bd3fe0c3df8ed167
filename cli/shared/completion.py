"""Shell completion: dataset ids, task names, splits, and the values of options.

It runs at every press of TAB, so it reads card files without checking them.
"""

from __future__ import annotations

import os
import re

import typer

USES = ("commercial",)
LABELS = ("released", "corrected")


def dataset(incomplete: str) -> list[tuple[str, str]]:
    """Complete dataset ids; their names are the help."""
    from ...cards.catalogue import DATASETS

    return [(name, DATASETS.facts(name)["name"]) for name in DATASETS if name.startswith(incomplete)]


def task(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete tasks of the dataset given before, as column names, which need no quotes; task names are the help."""
    from ...cards.catalogue import DATASETS
    from ...cards.facts import snake_case

    chosen: str = context.params.get("dataset") or ""
    names = [task["name"] for task in DATASETS.facts(chosen)["tasks"]] if chosen in DATASETS else []
    return [(snake_case(name), name) for name in names if snake_case(name).startswith(incomplete.lower())]


def split(incomplete: str) -> list[str]:
    """Complete splits; with "+", the last one."""
    from ...cards.facts import SPLITS

    before, plus, last = incomplete.rpartition("+")
    return [f"{before}{plus}{name}" for name in SPLITS if name.startswith(last)]


def domain(incomplete: str) -> list[str]:
    """Complete imaging domains."""
    from ...cards.catalogue import DATASETS

    names = sorted({DATASETS.facts(name)["domain"] for name in DATASETS})
    names = [name for name in names if name.lower().startswith(incomplete.lower())]
    if os.environ.get("_MEDIMETA_COMPLETE") == "complete_bash":  # bash inserts the word as it is; other shells quote it
        names = [re.sub(r"([^\w-])", r"\\\1", name) for name in names]
    return names


def kind(incomplete: str) -> list[str]:
    """Complete kinds of task."""
    from ...cards.facts import Kind

    kinds: tuple[str, ...] = Kind.__args__  # type: ignore[attr-defined]
    return [name for name in kinds if name.startswith(incomplete)]


def use(incomplete: str) -> list[str]:
    """Complete uses that a licence may allow."""
    return [name for name in USES if name.startswith(incomplete)]


def labels(incomplete: str) -> list[str]:
    """Complete versions of the labels."""
    return [name for name in LABELS if name.startswith(incomplete)]
