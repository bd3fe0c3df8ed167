"""Read a `cards/<id>.yaml` and check what types alone cannot express."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CatalogueError
from ..files.yaml_values import read_yaml
from .facts import SPLITS, DatasetCard

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_VERSION = re.compile(r"\d+\.\d+\.\d+")


def read_card(path: Path) -> DatasetCard:
    """Read and check one `cards/<id>.yaml`.

    Raises:
        CatalogueError: With the file, the key and the problem.
    """
    from pydantic import ValidationError

    facts = read_facts(path)
    tasks = facts.get("tasks")
    for position, task in enumerate(tasks if isinstance(tasks, list) else ()):
        if isinstance(task, dict):
            task |= {"dataset": facts.get("id"), "is_main": position == 0}
    try:
        card = _adapter().validate_python(facts)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']} (got {e['input']!r:.80})" for e in error.errors()]
        raise CatalogueError("\n".join([f"{path.name}: {len(lines)} invalid key(s):", *lines])) from None
    _check_card(card, path)
    return card


@cache
def _adapter() -> TypeAdapter[DatasetCard]:
    """The validator of cards; making one takes longer than using it."""
    from pydantic import TypeAdapter

    return TypeAdapter(DatasetCard)


def read_facts(path: Path) -> dict[str, Any]:
    """Read a `cards/<id>.yaml` without checking its keys.

    Raises:
        CatalogueError: If it is not a YAML mapping.
    """
    try:
        facts = read_yaml(path.read_bytes())
    except ValueError as error:
        raise CatalogueError(f"{path.name}: not valid YAML: {error}. Fix the file; see CONTRIBUTING.md.") from error
    if not isinstance(facts, dict):
        raise CatalogueError(f"{path.name}: expected a mapping of keys, got {type(facts).__name__}.")
    return facts


def _check_card(card: DatasetCard, path: Path) -> None:
    """Check what types alone cannot express."""

    def require(holds: bool, key: str, problem: str) -> None:
        if not holds:
            raise CatalogueError(f"{path.name}: {key}: {problem}")

    require(card.id == path.stem, "id", f"{card.id!r} differs from the file name {path.stem!r}")
    require(
        list(card.releases)[:1] == [card.version] and all(map(_VERSION.fullmatch, card.releases)),
        "releases",
        f"the first one must be version {card.version}, and versions are three numbers, e.g. 1.2.0",
    )
    require(bool(card.tasks), "tasks", "a dataset needs at least one task")
    for task in card.tasks:
        key = f"tasks.{task.name}"
        require(len(set(task.labels)) == len(task.labels) >= 2, key, "labels must be two or more distinct names")
        require(
            (task.kind == "ordinal") == (task.scores is not None),
            key,
            "only ordinal tasks have scores, and all of them do",
        )
        require(task.kind != "binary" or len(task.labels) == 2, key, "a binary task has exactly two labels")
        if task.scores is not None:
            ascending = list(task.scores) == sorted(set(task.scores)) and len(task.scores) == len(task.labels)
            require(ascending, key, "scores must ascend, one per label")
    columns = ["image", *(t.column for t in card.tasks), "subject_id", "original_split", "original_filepath", "index"]
    columns += [a.column for a in card.annotations] + list(card.masks)
    twice = sorted({column for column in columns if columns.count(column) > 1})
    require(not twice, "annotations", f"duplicate columns: {', '.join(twice)}")
    rule = card.splits
    require(card.total == sum(rule.original.values()), "splits", "official and original counts differ in total")
    require(set(rule.counts) <= set(SPLITS), "splits.counts", f"the splits are {', '.join(SPLITS)}")
    require(set(rule.original) <= {"train", "val", "test"}, "splits.original", "the parts are train, val, test")
    require(all(rule.counts.values()), "splits.counts", "splits without rows must not be listed")
    random = rule.rule != "source"
    require(
        random == (rule.by is not None and rule.train is not None),
        "splits",
        "the rules random and holdout need by and train; the rule source has neither",
    )
    require(
        card.licence.commercial <= all(s.commercial for s in card.sources)
        and card.licence.redistribution <= all(s.redistribution for s in card.sources),
        "licence",
        "looser than a source's; state the stricter terms",
    )
    missing = sorted(set(card.groups) - {task.column for task in card.tasks} - {a.column for a in card.annotations})
    require(not missing, "groups", f"no column {', '.join(missing)}")
    names = {task.name for task in card.tasks}
    for correction in card.corrections:
        require(correction.task is None or correction.task in names, "corrections", f"no task {correction.task!r}")


def check_overlaps(card: DatasetCard, cards: Mapping[str, DatasetCard]) -> None:
    """Check that datasets that share subjects list each other.

    Args:
        card: The card of one dataset.
        cards: All cards by id.

    Raises:
        CatalogueError: If the other dataset does not exist or does not list this one.
    """
    for other in (overlap.dataset for overlap in card.subject_overlaps):
        if other not in cards:
            raise CatalogueError(f"{card.id}.yaml: subject_overlaps: there is no dataset {other!r}")
        if card.id not in (overlap.dataset for overlap in cards[other].subject_overlaps):
            raise CatalogueError(
                f"{card.id}.yaml: subject_overlaps: lists {other}, but {other}.yaml does not list {card.id}"
            )
