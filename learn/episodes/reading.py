"""Read episode sets from files and datasets, and refuse those that are damaged, changed or inconsistent.

A set may come from anywhere, so neither its description nor its table is trusted, nor that they match each other. Every
set that is read passes through `validated`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset
from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from ...cards.facts import Kind
from ...errors import MedIMetaError
from ...files.parquet_footer import column_chunks
from .recipe import Recipe
from .table import ABOUT, SHA256, VERSION, digest, schema

MAX_ABOUT = 1 << 20  # bytes of a description
MAX_VALUES = 1 << 24  # numbers in one column of a file
_DATASET = "The dataset"  # in messages, where there is no path
_STRICT: Any = {"extra": "forbid", "strict": True}
_Count = Annotated[int, Field(ge=0)]
_Column = Literal["labels", "subject_id", "index", "original_filepath"]
_Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class Stored(NamedTuple):
    """A set as it was read, not yet validated.

    Attributes:
        where: File or dataset that it was read from, for messages.
        table: One row per episode.
        about: The description, as JSON.
        sha256: SHA-256 of table and description when they were written.
    """

    where: str
    table: pa.Table
    about: bytes
    sha256: str


def read(path: str | os.PathLike[str]) -> Stored:
    """Read a Parquet file written by `table.write`.

    Raises:
        MedIMetaError: If the file does not exist, or it is not an episode set.
    """
    try:
        with pq.ParquetFile(path) as file:
            values = Counter[str]()
            for chunk in chain.from_iterable(column_chunks(Path(path))):
                values[chunk.name] += chunk.values
            if max(values.values(), default=0) > MAX_VALUES:
                raise unusable(path, f"is not an episode set (a column has more than {MAX_VALUES:,} values)")
            if not all(pa.types.is_integer(_innermost(field.type)) for field in file.schema_arrow):
                raise unusable(path, "is not an episode set (there are columns of other types)")
            table = file.read()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # names of columns that are not UTF-8
        raise unusable(path, f"is not an episode set ({error})") from error
    metadata = table.schema.metadata or {}
    if not {ABOUT, SHA256} <= set(metadata):
        raise unusable(path, "is not an episode set (its metadata are missing)")
    sha256 = metadata[SHA256].decode("ascii", errors="replace")
    return Stored(str(path), table.replace_schema_metadata(None), metadata[ABOUT], sha256)


def from_dataset(dataset: Dataset) -> Stored:
    """Read a dataset made by `table.to_dataset`.

    Raises:
        MedIMetaError: If it is not an episode set, or holds more than one.
    """
    table = cast(pa.Table, dataset.with_format("arrow")[:])
    columns = schema(multilabel=False).names
    if not {*columns, "about", "sha256"} <= set(table.column_names) or not len(table):
        raise unusable(_DATASET, "is not an episode set (columns are missing, or there are no rows)")
    about, sha256 = table["about"].unique().to_pylist(), table["sha256"].unique().to_pylist()
    if len(about) > 1 or len(sha256) > 1:
        raise unusable(_DATASET, "is more than one episode set")
    return Stored(_DATASET, table.select(columns), str(about[0]).encode(errors="replace"), str(sha256[0]))


def validated(stored: Stored) -> pa.Table:
    """Return the table of a set, with its description as metadata, after checking both.

    Raises:
        MedIMetaError: If the version is another one, the description or the table is malformed, the hash differs, or
            an episode is impossible: positions out of range, an image in both support and query, labels out of range,
            or numbers of classes, shots or queries that differ from the recipe.
    """
    about = _description(stored)
    try:
        recipe = Recipe(**about["recipe"])
        columns = schema(multilabel=about["task"]["target"] == "multilabel")
        table = stored.table.select(columns.names).cast(columns)
    except (ValueError, LookupError, TypeError, pa.ArrowException) as error:
        raise unusable(stored.where, f"is not an episode set ({error})") from error
    if any(map(_has_nulls, table.columns)):
        raise unusable(stored.where, "is not an episode set (values are missing)")
    if digest(table, about) != stored.sha256:
        raise unusable(stored.where, "was changed after it was written: its SHA-256 differs")
    for number, row in enumerate(table.to_pylist()):
        if problem := next(_problems(number, row, about, recipe), None):
            raise unusable(stored.where, f"holds an impossible episode, number {number}: {problem}")
    if not len(table):
        raise unusable(stored.where, "is an episode set without episodes")
    return table.replace_schema_metadata({ABOUT: stored.about})


def check_labels(table: pa.Table, labels: np.ndarray, where: str) -> None:
    """Check that the labels of episodes are those of the rows that they name.

    Args:
        table: One row per episode, validated.
        labels: Labels of the rows of the split, as for `sampler.EpisodeSampler`.
        where: Description of the rows, for messages.

    Raises:
        MedIMetaError: If labels differ; the message names the first such episode.
    """
    for row in table.to_pylist():
        for side in ("support", "query"):
            actual, stated = labels[row[side]], row[f"{side}_labels"]
            if labels.ndim == 1:
                same = bool((actual == np.array(row["classes"])[stated]).all())
            else:
                present = [np.flatnonzero(vector).tolist() for vector in actual[:, row["classes"]]]
                same = present == stated
            if not same:
                raise MedIMetaError(f"Episode {row['episode']} of {where} states other labels than its rows have.")


def unusable(where: str | os.PathLike[str], why: str) -> MedIMetaError:
    """Return the error for a file or dataset that is not a usable set."""
    path = "FILE" if where == _DATASET else where
    return MedIMetaError(f"{where} {why}. Draw the set again: medimeta episodes ID [TASK] --out {path}")


@dataclass(frozen=True)
class _Task:
    __pydantic_config__ = _STRICT
    name: str
    target: Kind
    labels: Annotated[tuple[str, ...], Field(min_length=2)]
    scores: tuple[int, ...] | None
    dataset: str


@dataclass(frozen=True)
class _Recipe:
    __pydantic_config__ = _STRICT
    shots: int | tuple[int, int]
    queries: int
    ways: int | Literal["random"] | None
    min_images: int | Literal["published"] | None
    classes: tuple[str, ...] | None
    subject_disjoint: bool


@dataclass(frozen=True)
class _About:
    __pydantic_config__ = _STRICT
    version: int
    task: _Task
    split: str
    seed: _Count
    recipe: _Recipe
    rows: _Count
    rows_with_subject: _Count
    fingerprint: Annotated[dict[_Column, _Digest], Field(min_length=4)]


def _description(stored: Stored) -> dict[str, Any]:
    if len(stored.about) > MAX_ABOUT:
        raise unusable(stored.where, f"is not an episode set (its description has {len(stored.about):,} bytes)")
    try:
        about: dict[str, Any] = TypeAdapter(dict[str, Any]).validate_json(stored.about)
        if (version := about.get("version")) != VERSION and isinstance(version, int):
            raise unusable(stored.where, f"has version {version}, not {VERSION}")
        TypeAdapter(_About).validate_json(stored.about)
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"{'.'.join(map(str, first['loc'])) or 'JSON'}: {first['msg']}"
        raise unusable(stored.where, f"is not an episode set (its description is malformed, {problem})") from None
    return about


def _innermost(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values in lists of lists."""
    while pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    return kind


def _has_nulls(column: pa.ChunkedArray) -> bool:
    values = column.combine_chunks()
    while not values.null_count and pa.types.is_list(values.type):
        values = values.flatten()
    return bool(values.null_count)


def _problems(number: int, row: Mapping[str, Any], about: Mapping[str, Any], recipe: Recipe) -> Iterator[str]:
    """Yield the contradictions in an episode, as text."""
    low, high = recipe.shot_range
    classes, count = row["classes"], len(row["classes"])
    if row["episode"] != number:
        yield f"its number is {row['episode']}"
    if count < 2 or not _ascending(classes, len(about["task"]["labels"])):
        yield f"classes {classes}"
    if isinstance(recipe.ways, int) and count != recipe.ways:
        yield f"{count} classes instead of {recipe.ways}"
    if not low <= row["shots"] <= high:
        yield f"{row['shots']} shots"
    for side, need in (("support", row["shots"]), ("query", recipe.queries)):
        positions, labels = row[side], row[f"{side}_labels"]
        if not positions or len(set(positions)) < len(positions):
            yield f"its {side} set is empty or holds an image twice"
        elif min(positions) < 0 or max(positions) >= about["rows"]:
            yield f"its {side} set names rows that are not from 0 to {about['rows'] - 1}"
        if len(labels) != len(positions):
            yield f"{len(labels)} labels of {len(positions)} {side} images"
        elif about["task"]["target"] == "multilabel":
            if not all(_ascending(present, count) for present in labels):
                yield f"its {side} labels are out of range"
            else:
                positives = np.bincount([label for present in labels for label in present], minlength=count)
                if positives.min() < need or (len(labels) - positives).min() < need:
                    yield f"its {side} set has fewer than {need} positives or negatives of a label"
        elif not set(labels) <= set(range(count)):
            yield f"its {side} labels are out of range"
        elif set(np.bincount(labels, minlength=count).tolist()) != {need}:
            yield f"its {side} set does not have {need} images of every class"
    if set(row["support"]) & set(row["query"]):
        yield "an image is in both support and query"


def _ascending(numbers: Sequence[int], bound: int) -> bool:
    """Return whether numbers are from 0 to `bound - 1` and each is larger than the one before."""
    return list(numbers) == sorted(set(numbers)) and all(0 <= number < bound for number in numbers)
