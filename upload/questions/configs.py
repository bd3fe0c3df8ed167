"""Write the question configs of a Hub folder, and make the same questions anew to check them."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...builders.hub.folder import HubSource
from ...builders.images import suffix
from ...builders.rows import batched, rows_per_group
from ...builders.shard_files import open_shard, shards
from ...builders.source import Options
from ...cards.question_names import QuestionConfig
from ...errors import SourceNotFound
from ..folder.question_files import SPLIT, features_of
from ..folder.record import read_record, record_path, split_sizes
from ..folder.shards import SHARD_BYTES, write_shard
from .asking import Question, questions_of


def write_questions(folder: Path, dataset: str, seed: int) -> dict[QuestionConfig, int]:
    """Write the question configs of a built dataset.

    Args:
        folder: The Hub folder; its card must be written again afterwards.
        dataset: Id of the dataset.
        seed: Seed of the choices and their order.

    Returns:
        Number of questions of each config.

    Raises:
        SourceNotFound: If the dataset was not built there, or it has no test split.
    """
    counts = {}
    for config in (QuestionConfig(dataset, seed), QuestionConfig(dataset, seed, blind=True)):
        staged = folder / f".{config.name}.new"
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir()
        for number, (total, part) in enumerate(_parts(folder, config)):
            write_shard(staged / f"{SPLIT}-{number:05d}-of-{total:05d}.parquet", part, features_of(config))
        shutil.rmtree(folder / config.name, ignore_errors=True)
        staged.rename(folder / config.name)
        counts[config] = sum(size["num_examples"] for size in split_sizes(folder / config.name).values())
    return counts


def tables(folder: Path, config: QuestionConfig) -> Iterator[pa.Table]:
    """Yield the questions of a config, made anew from the built dataset, in tables of one row group.

    Raises:
        SourceNotFound: As for `write_questions`.
    """
    return (table for _, part in _parts(folder, config) for table in part)


def stored_tables(folder: Path, config: QuestionConfig) -> Iterator[pa.Table]:
    """Yield the questions of a config as they are stored.

    Raises:
        SourceBroken: If shards are missing or unreadable.
    """
    for path in shards(folder / config.name).get(SPLIT, []):
        with open_shard(path) as file:
            yield from (file.read_row_group(number) for number in range(file.metadata.num_row_groups))


def _parts(folder: Path, config: QuestionConfig) -> Iterator[tuple[int, Iterator[pa.Table]]]:
    """Yield the number of shards and the tables of each shard."""
    source, rows = _rows(folder, config.dataset)
    questions = questions_of(source.card, {name: rows[name].to_list() for name in rows}, config.seed)
    if not questions:
        raise SourceNotFound(f"{folder / config.dataset} has no labelled images to ask about.", code="no-questions")
    group = rows_per_group(source.side)
    groups = [questions[start : start + group] for start in range(0, len(questions), group)]
    row_bytes = 1024 if config.blind else 3 * (source.side**2 * source.card.channels + 1024)  # an image, and as text
    step = max(1, SHARD_BYTES // row_bytes // group)
    total = -(-len(groups) // step)
    for start in range(0, len(groups), step):
        yield total, (_table(source, rows, part, config) for part in groups[start : start + step])


def _rows(folder: Path, dataset: str) -> tuple[HubSource, Any]:
    place = record_path(folder, dataset)
    if not place.is_file() or not shards(folder / dataset).get(SPLIT):
        raise SourceNotFound(
            f"{folder} has no test split of {dataset}, which the questions are about. Build it: medimeta build "
            f"{dataset} --out {folder}"
        )
    record = read_record(place)
    source = HubSource(dataset, folder / dataset, Options(labels=record.labels, with_masks=record.masks))
    rows = source.stored()
    return source, rows[rows["split"] == SPLIT].reset_index(drop=True)


def _table(source: HubSource, rows: Any, questions: list[Question], config: QuestionConfig) -> pa.Table:
    index = [int(rows["index"].iat[question.row]) for question in questions]
    columns: dict[str, list[Any]] = {
        "id": [question.id for question in questions],
        "task": [question.task for question in questions],
        "question": [question.question for question in questions],
        "choices": [list(question.choices) for question in questions],
        "answer": [question.answer for question in questions],
        "answer_text": [question.choices[question.place] for question in questions],
        "index": index,
    }
    if not config.blind:
        wanted = sorted({question.row for question in questions})
        images: dict[int, bytes] = {}
        for part in batched(rows.iloc[wanted]):
            images.update(zip(part.index, (row["image"] for row in source.encode(part)), strict=True))
        ending = suffix(source.card.mode)
        data = [images[question.row] for question in questions]
        columns["image"] = [{"bytes": one, "path": f"{i:06d}{ending}"} for one, i in zip(data, index, strict=True)]
        columns["image_uri"] = [f"data:image/{ending[1:]};base64,{base64.b64encode(one).decode()}" for one in data]
    schema = features_of(config).arrow_schema
    return pa.Table.from_arrays([pa.array(columns[field.name], field.type) for field in schema], schema=schema)
