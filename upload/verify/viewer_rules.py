"""Limits of the Hub's dataset viewer, in addition to `file_rules` and `row_rules`.

If a limit is exceeded, the viewer shows an error or nothing, even if `load_dataset` works. The numbers are from the
viewer's source code (github.com/huggingface/dataset-viewer, chart/env/prod.yaml and libs/libcommon).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

from ...errors import some
from ..folder.card_files import CARD
from .findings import Problem
from .published import Published, StoredShard

PAGE_ROWS = 100
PAGE_BYTES = 300_000_000  # else: "Scan size limit exceeded"
COLUMNS = 1_000
COLUMN_NAME = 500  # characters
SPLIT_NAME = re.compile(r"\w+(\.\w+)*")  # what `datasets` allows
SPLITS = 30
CONFIGS = 100  # more are left out of the Croissant file that the Hub makes
FILES = 10_000  # in one folder
ENTRY_KEYS = frozenset({"config_name", "data_files", "default"})
FILE_KEYS = frozenset({"split", "path"})


def page_scan(published: Published) -> Iterator[Problem]:
    """A page of 100 rows can be shown without reading more than 300 MB."""
    by_split: dict[str, list[StoredShard]] = {}
    for shard in published.readable:
        by_split.setdefault(str(shard.split), []).append(shard)
    for split, shards in by_split.items():
        pages: Counter[int] = Counter()
        row = 0
        for group in (group for shard in shards for group in shard.groups):
            last = row + max(group.num_rows, 1) - 1
            for page in range(row // PAGE_ROWS, last // PAGE_ROWS + 1):
                pages[page] += group.total_byte_size
            row += group.num_rows
        large = {page: size for page, size in pages.items() if size > PAGE_BYTES}
        if large:
            page, size = max(large.items(), key=lambda item: item[1])
            yield Problem(
                "error",
                f"{split}: to show rows {page * PAGE_ROWS:,} to {(page + 1) * PAGE_ROWS - 1:,} the viewer has to read "
                f"{size:,} bytes; at most {PAGE_BYTES:,} are allowed.",
            )


def no_empty_split(published: Published) -> Iterator[Problem]:
    """Every shard has rows; one split without any hides the whole dataset."""
    empty = [shard.path.name for shard in published.readable if not shard.footer.num_rows]
    if empty:
        yield Problem("error", f"file(s) with 0 rows, but the viewer needs at least 1: {some(empty)}.")


def names(published: Published) -> Iterator[Problem]:
    """Columns, and the splits that the card lists, have names that the viewer takes."""
    for shard in published.readable:
        columns = shard.schema.names
        if len(columns) > COLUMNS:
            yield Problem("error", f"{shard.path.name} has {len(columns):,} columns; at most {COLUMNS:,} are allowed.")
        long = [f"{name[:40]}... ({len(name)})" for name in columns if len(name) > COLUMN_NAME]
        if long:
            yield Problem("error", f"column names of more than {COLUMN_NAME} characters: {some(long)}.")


def numbers(published: Published) -> Iterator[Problem]:
    """Files in the folder and datasets in the card are few enough."""
    if (count := len(published.shards)) > FILES:
        yield Problem("error", f"{count:,} files in one folder; the Hub wants at most {FILES:,}.")
    if (count := len(_entries(published))) > CONFIGS:
        yield Problem("error", f"{CARD} lists {count:,} datasets; at most {CONFIGS:,} are described by the Hub.")


def yaml_keys(published: Published) -> Iterator[Problem]:
    """The card's entry has the keys that are understood, and no others, which would be ignored."""
    for entry in _entries(published):
        if entry.get("config_name") != published.card.id:
            continue
        if strange := sorted(set(entry) - ENTRY_KEYS):
            yield Problem("error", f"configs of {CARD}: the viewer ignores the key(s) {some(strange)}.")
        files = entry.get("data_files")
        items = [item for item in files if isinstance(item, dict)] if isinstance(files, list) else []
        wrong = [str(sorted(item)) for item in items if set(item) != FILE_KEYS]
        if wrong:
            yield Problem("error", f"data_files of {CARD}: keys {some(wrong)}; each item has split and path.")
        splits = [str(item.get("split")) for item in items]
        if len(splits) > SPLITS:
            yield Problem("error", f"{CARD} lists {len(splits)} splits; at most {SPLITS} are allowed.")
        bad = [split for split in splits if SPLIT_NAME.fullmatch(split) is None]
        if bad:
            yield Problem("error", f"split(s) {some(bad)} of {CARD}: only letters, digits, _ and dots are allowed.")


def _entries(published: Published) -> list[dict[str, object]]:
    front = published.front_matter
    configs = front.get("configs") if isinstance(front, dict) else None
    return [entry for entry in configs if isinstance(entry, dict)] if isinstance(configs, list) else []


VIEWER_RULES: dict[str, Callable[[Published], Iterator[Problem]]] = {
    "viewer: page scan": page_scan,
    "viewer: empty split": no_empty_split,
    "viewer: names": names,
    "viewer: numbers": numbers,
    "viewer: yaml keys": yaml_keys,
}
