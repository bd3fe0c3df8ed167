"""Reading a `cards/<id>.yaml`, and the checks that types alone cannot make."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from ..errors import CatalogueError
from .facts import SPLITS, DatasetCard

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times faster; not every wheel has it


def read_card(path: Path) -> DatasetCard:
    """Read and check one `cards/<id>.yaml`.

    Raises:
        CatalogueError: Naming the file, the key and what is wrong with it.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        facts = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506  a safe one
    except yaml.YAMLError as error:
        raise CatalogueError(
            f"{path.name}: not valid YAML: {error}. Mend the file; CONTRIBUTING.md shows one."
        ) from error
    if not isinstance(facts, dict):
        raise CatalogueError(f"{path.name}: expected a mapping of keys, found {type(facts).__name__}.")
    for position, task in enumerate(facts.get("tasks") or ()):
        if isinstance(task, dict):
            task |= {"dataset": facts.get("id"), "is_main": position == 0}
    try:
        card = TypeAdapter(DatasetCard).validate_python(facts)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']} (got {e['input']!r:.80})" for e in error.errors()]
        raise CatalogueError("\n".join([f"{path.name} has {len(lines)} wrong key(s):", *lines])) from None
    _check_card(card, path)
    return card


def _check_card(card: DatasetCard, path: Path) -> None:
    """What types alone cannot say."""

    def require(holds: bool, key: str, problem: str) -> None:
        if not holds:
            raise CatalogueError(f"{path.name}: {key}: {problem}")

    require(card.id == path.stem, "id", f"{card.id!r} differs from the file name {path.stem!r}")
    require(bool(card.tasks), "tasks", "a dataset needs at least one task")
    for task in card.tasks:
        key = f"tasks.{task.name}"
        require(len(set(task.labels)) == len(task.labels) >= 2, key, "labels must be two or more distinct names")
        require((task.kind == "ordinal") == (task.scores is not None), key, "ordinal tasks, and no others, have scores")
        require(task.kind != "binary" or len(task.labels) == 2, key, "a binary task has exactly two labels")
        if task.scores is not None:
            ascending = list(task.scores) == sorted(set(task.scores)) and len(task.scores) == len(task.labels)
            require(ascending, key, "scores must ascend, one per label")
    columns = ["image", *(t.column for t in card.tasks), "subject_id", "original_split", "original_filepath", "index"]
    columns += [a.column for a in card.annotations] + list(card.masks)
    twice = sorted({column for column in columns if columns.count(column) > 1})
    require(not twice, "annotations", f"columns named twice: {', '.join(twice)}")
    rule = card.splits
    require(card.total == sum(rule.original.values()), "splits", "official and original counts differ in total")
    require(set(rule.counts) <= set(SPLITS), "splits.counts", f"the splits are {', '.join(SPLITS)}")
    require(set(rule.original) <= {"train", "val", "test"}, "splits.original", "the parts are train, val, test")
    require(all(rule.counts.values()), "splits.counts", "a split without rows is never listed")
    random = rule.rule != "source"
    require(
        random == (rule.by is not None and rule.train is not None),
        "splits",
        "random rules, and no others, need by and train",
    )
    require(
        card.licence.commercial <= all(s.commercial for s in card.sources)
        and card.licence.redistribution <= all(s.redistribution for s in card.sources),
        "licence",
        "looser than a source's; state the stricter terms",
    )
    names = {task.name for task in card.tasks}
    for correction in card.corrections:
        require(correction.task is None or correction.task in names, "corrections", f"no task {correction.task!r}")


def check_overlaps(card: DatasetCard, cards: Mapping[str, DatasetCard]) -> None:
    """Check that datasets that share a domain or subjects name each other.

    Args:
        card: The facts of one dataset.
        cards: Those of all, by id.

    Raises:
        CatalogueError: If one is unknown, or does not name this one.
    """
    for key, others in (
        ("domain_overlaps", card.domain_overlaps),
        ("subject_overlaps", tuple(o.dataset for o in card.subject_overlaps)),
    ):
        for other in others:
            if other not in cards:
                raise CatalogueError(f"{card.id}.yaml: {key}: there is no dataset {other!r}")
            back = cards[other]
            theirs = back.domain_overlaps if key == "domain_overlaps" else [o.dataset for o in back.subject_overlaps]
            if card.id not in theirs:
                raise CatalogueError(f"{card.id}.yaml: {key}: names {other}, but {other}.yaml does not name {card.id}")
