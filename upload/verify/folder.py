"""A Hub folder checked against the catalogue, rule by rule: `file_rules`, `viewer_rules` and `row_rules` hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path

from ...cards.catalogue import DATASETS
from ...files.parallel import ordered_map
from ..folder.record import there
from ..folder.writing import NotAHubFolder
from .file_rules import FILE_RULES
from .findings import Finding, Problem
from .published import Published, front_matter_of
from .row_rules import ROW_RULES, SET_RULES, Seen, scan
from .tally import NONE
from .viewer_rules import VIEWER_RULES


def verify_folder(
    folder: Path,
    *,
    executor: Executor | None = None,
    workers: int = 1,
    expect: Callable[[int], None] = lambda rows: None,
    advance: Callable[[int], None] = lambda rows: None,
) -> list[Finding]:
    """Check every dataset of a Hub folder.

    Args:
        folder: The Hub folder.
        executor: Where rows are read and images decoded; None does it here. The result is the same.
        workers: Number of workers of the executor; bounds the work in flight.
        expect: Called with the number of rows of each dataset, of all before the first is checked.
        advance: Called with the number of rows that were checked.

    Returns:
        What was found, dataset by dataset, in the order of the rules; `findings.clean` tells whether there is an
        error among it.

    Raises:
        NotAHubFolder: If there is no dataset in it.
    """
    names = _datasets(folder)
    if not names:
        raise NotAHubFolder(
            f"{folder} holds no dataset. Give the folder that holds README.md and a folder per dataset, or build one: "
            f"medimeta build bus --out {folder}"
        )
    known = {name: Published(folder, DATASETS[name]) for name in names if name in DATASETS}
    for published in known.values():
        expect(sum(published.rows.values()))
    findings = []
    for name in names:
        if name in known:
            found = _verify(known[name], executor, workers, advance)
        else:
            found = iter([("dataset", Problem("error", "there is no such dataset; see: medimeta list"))])
        findings += [Finding(p.severity, name, rule, p.message, p.examples) for rule, p in found]
    return findings


def _datasets(folder: Path) -> list[str]:
    """Names of the datasets that are there or that README.md lists, in alphabetical order."""
    names = set(there(folder))
    front = front_matter_of(folder)
    configs = front.get("configs") if isinstance(front, dict) else None
    if isinstance(configs, list):
        listed = {str(entry["config_name"]) for entry in configs if isinstance(entry, dict) and "config_name" in entry}
        names |= listed & set(DATASETS)  # others may add configs of their own
    return sorted(names)


def _verify(
    published: Published, executor: Executor | None, workers: int, advance: Callable[[int], None]
) -> Iterator[tuple[str, Problem]]:
    """Name of the rule and what it found, for one dataset."""
    for name, check in {**FILE_RULES, **VIEWER_RULES}.items():
        for problem in check(published):
            yield name, problem
        if published.is_pointer:
            return
    if published.too_many_rows:
        return
    broken, damage = dict.fromkeys(ROW_RULES, NONE), NONE
    seen: list[Seen] = []
    work = [
        (shard.path, group, shard.split, published.card.id, published.options)
        for shard in published.readable
        if shard.schema.equals(published.features.arrow_schema)
        for group in range(shard.footer.num_row_groups)
    ]
    for found in ordered_map(scan, work, executor, window=4 * workers):
        for name, tally in found.broken.items():
            broken[name] += tally
        damage += found.damage
        seen += found.seen
        advance(len(found.seen))
    if damage:
        yield "stored rows", Problem("error", f"{damage.rows:,} row group(s) cannot be read.", damage.examples)
    for name, rule in ROW_RULES.items():
        if tally := broken[name]:
            yield name, Problem("error", f"{tally.rows:,} row(s) {rule.message}.", tally.examples)
    for name, check_all in SET_RULES.items():
        for problem in check_all(published, seen):
            yield name, problem
