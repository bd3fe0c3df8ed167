"""Check a Hub folder against the catalogue, with the rules in `file_rules`, `viewer_rules` and `row_rules`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path

from ...cards.catalogue import DATASETS
from ...files.parallel import ordered_map
from ..folder.question_files import configs_in
from ..folder.record import there
from ..folder.writing import NotAHubFolder
from .file_rules import FILE_RULES
from .findings import Finding, Problem
from .published import Published, front_matter_of
from .question_rules import question_problems
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
    """Check every dataset and question config of a Hub folder.

    Args:
        folder: The Hub folder.
        executor: Executor that reads rows and decodes images; None does it in this process. The result is the same.
        workers: Number of workers of the executor; bounds the tasks in flight.
        expect: Called with the number of rows of each dataset before the first one is checked.
        advance: Called with the number of rows that were checked.

    Returns:
        The findings, by dataset and in the order of the rules; see `findings.clean`.

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
            found = iter([("dataset", Problem("error", "unknown dataset; see: medimeta list"))])
        findings += [Finding(p.severity, name, rule, p.message, p.examples) for rule, p in found]
    for config in configs_in(folder):
        problems = question_problems(folder, config)
        findings += [Finding(p.severity, config.name, rule, p.message, p.examples) for rule, p in problems]
    return findings


def _datasets(folder: Path) -> list[str]:
    """Return the names of datasets with files or an entry in README.md, in alphabetical order."""
    names = set(there(folder))
    front = front_matter_of(folder)
    configs = front.get("configs") if isinstance(front, dict) else None
    if isinstance(configs, list):
        listed = {str(entry["config_name"]) for entry in configs if isinstance(entry, dict) and "config_name" in entry}
        names |= listed & set(DATASETS)  # others may add configs
    return sorted(names)


def _verify(
    published: Published, executor: Executor | None, workers: int, advance: Callable[[int], None]
) -> Iterator[tuple[str, Problem]]:
    """Yield the name of the rule and each problem of one dataset."""
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
