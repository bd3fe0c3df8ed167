"""Rules for the question configs of a Hub folder: they hold what the built dataset gives, and the card lists them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from ...builders.shard_files import UNREADABLE_PARQUET, shown
from ...cards.question_names import QuestionConfig
from ...errors import MedIMetaError
from ..folder.question_files import entries_of, features_of
from ..questions.configs import stored_tables, tables
from .findings import Problem
from .published import StoredShard, front_matter_of


def question_problems(folder: Path, config: QuestionConfig) -> Iterator[tuple[str, Problem]]:
    """Yield the name of the rule and each problem of a question config."""
    again = f"Write it again: medimeta questions {folder} {config.dataset} --seed {config.seed}"
    found = [StoredShard(path) for path in sorted((folder / config.name).glob("*.parquet"))]
    if pointers := [shard.path.name for shard in found if shard.is_pointer]:
        yield "pointers", Problem("error", f"{pointers[0]} is a git-lfs pointer. In {folder}, run: git lfs pull")
        return
    wanted = features_of(config).arrow_schema
    for shard in found:
        if shard.schema is None or not shard.schema.equals(wanted):
            yield "schema", Problem("error", f"{shard.path.name} is damaged or has other columns. {again}")
            return
    try:
        pairs = zip_longest(stored_tables(folder, config), tables(folder, config))
        same = all(stored is not None and made is not None and stored.equals(made) for stored, made in pairs)
    except (MedIMetaError, *UNREADABLE_PARQUET) as error:
        yield "questions", Problem("error", f"cannot be compared with {config.dataset} ({shown(error)}). {again}")
        return
    if not same:
        yield "questions", Problem("error", f"differ from those that {config.dataset} gives. {again}")
        return
    front = front_matter_of(folder)
    for key, entry in entries_of(folder, config).items():
        listed = front.get(key) if isinstance(front, dict) else None
        if not isinstance(listed, list) or entry not in listed:
            yield "card", Problem("error", f"{key} of README.md disagrees. Write it again: medimeta card {folder}")
