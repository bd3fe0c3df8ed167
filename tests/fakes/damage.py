"""A Hub folder of `bus` (6 per class) and `cxr` miniatures, damaged in one way each, and what must be said of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image

from medimeta.builders.images import encode

from .parquet import move_row, rows_of, set_values


def picture(image):
    return {"bytes": encode(image), "path": "x.png"}


def shard(hub, split="train", dataset="bus"):
    return hub / dataset / f"{split}-00000-of-00001.parquet"


def replaced(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def set_record(hub, dataset="bus", **values):
    path = hub / "records" / dataset / "build.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def plain_parquet(path, **options):
    table = pq.read_table(path)
    pq.write_table(table, path, row_group_size=100, **options)


def damaged_pages(path):
    column = next(c for c in columns_of(path) if c.path_in_schema == "original_filepath")
    data = bytearray(path.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    data[start : start + 40] = b"\xff" * 40
    path.write_bytes(data)


def columns_of(path):
    group = pq.read_metadata(path).row_group(0)
    return [group.column(i) for i in range(group.num_columns)]


def same_image_in_two_splits(hub, dataset="bus"):
    set_values(shard(hub, "test", dataset), 0, image=rows_of(shard(hub, "train", dataset))[0]["image"])


def a_subject_in_two_splits(hub, dataset):
    subject = rows_of(shard(hub, "train", dataset))[0]["subject_id"]
    set_values(shard(hub, "test", dataset), 0, subject_id=subject)


def edit_schema(path, drop=None, cast=None):
    table = pq.read_table(path)
    table = (
        table.drop([drop])
        if drop
        else table.set_column(table.schema.get_field_index(cast), cast, table[cast].cast("int64"))
    )
    with pq.ParquetFile(path) as file:
        extra = {key: value for key, value in file.metadata.metadata.items() if key != b"ARROW:schema"}
    with pq.ParquetWriter(path, table.schema, write_page_index=True) as writer:
        writer.write_table(table, row_group_size=100)
        writer.add_key_value_metadata(extra)


def edit_features(path, old, new):
    table = pq.read_table(path)
    info = table.schema.metadata[b"huggingface"].replace(f'"{old}"'.encode(), f'"{new}"'.encode())
    with pq.ParquetWriter(path, table.schema.with_metadata({"huggingface": info}), write_page_index=True) as writer:
        writer.write_table(table, row_group_size=100)
        writer.add_key_value_metadata(dict.fromkeys(("use_content_defined_chunking", "content_defined_chunking"), "1"))


RECORD = "records/bus/build.json"


def renamed(hub, old, new):
    """Rename a dataset: the folder of its shards and that of its record."""
    for folder in (hub, hub / "records"):
        (folder / old).rename(folder / new)


# What is done to the Hub folder, the rules that find it as an error, and words that they say.
DAMAGE: dict[str, tuple[Callable[[Path], object], set[str], str]] = {
    "no record": (
        lambda h: (h / RECORD).unlink(),
        {"build record", "row counts"},
        "build.json is missing",
    ),
    "other record": (lambda h: set_record(h, labels="mine"), {"build record", "row counts"}, "labels: "),
    "damaged record": (
        lambda h: (h / RECORD).write_text("{"),
        {"build record", "row counts"},
        "build.json cannot be read",
    ),
    "no counts": (lambda h: set_record(h, rows=[18]), {"build record", "row counts"}, "rows: "),
    "wrong counts": (
        lambda h: set_record(h, rows={"train": 13, "validation": 1, "test": 5}),
        {"build record", "row counts"},
        "counts train 13, validation 1, test 5; the shards hold train 12",
    ),
    "another split": (
        lambda h: move_row(shard(h), shard(h, "test")),
        {"build record", "row counts", "card"},
        "splits: {'test': 5, 'train': 12, 'validation': 1}, where {'train': 11, 'validation': 1, 'test': 6} are in",
    ),
    "missing split": (
        lambda h: shard(h, "validation").unlink(),
        {"build record", "row counts", "card", "index"},
        "the shards hold train 12, test 5",
    ),
    "missing shard": (
        lambda h: shard(h).rename(h / "bus" / "train-00000-of-00002.parquet"),
        {"shards"},
        "train-00001-of-00002.parquet",
    ),
    "strange file": (
        lambda h: shutil.copy(shard(h), h / "bus" / "extra.parquet"),
        {"shards"},
        "not named as a split's shards: extra.parquet",
    ),
    "pointer": (
        lambda h: shard(h).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        {"pointers"},
        "run: git lfs pull",
    ),
    "cut short": (
        lambda h: shard(h).write_bytes(shard(h).read_bytes()[:-100]),
        {"shards", "build record", "row counts", "card", "index"},
        "not readable Parquet: train-00000-of-00001.parquet",
    ),
    "damaged pages": (lambda h: damaged_pages(shard(h)), {"stored rows"}, "row group 0"),
    "lacking column": (
        lambda h: edit_schema(shard(h), drop="subject_id"),
        {"schema"},
        "lacks subject_id. Its rows were not checked",
    ),
    "another type": (
        lambda h: edit_schema(shard(h), cast="index"),
        {"schema"},
        "index is int64, not int32",
    ),
    "no metadata": (
        lambda h: plain_parquet(shard(h), write_page_index=True, store_schema=False),
        {"metadata"},
        "lacks the metadata",
    ),
    "other label names": (
        lambda h: edit_features(shard(h), "malignant", "malign"),
        {"metadata"},
        "other features than the catalogue's: case_category",
    ),
    "no page index": (
        lambda h: plain_parquet(shard(h)),
        {"page index", "metadata"},
        "no page index for case_category, image.bytes",
    ),
    "no card": (lambda h: (h / "README.md").unlink(), {"card"}, "README.md is missing. Write it again: medimeta card"),
    "no front matter": (lambda h: (h / "README.md").write_text("# x"), {"card"}, "README.md has no readable front"),
    "old label names": (
        lambda h: replaced(h / "README.md", "'2': malignant\n", "'2': malign\n"),
        {"card"},
        "'malign'",
    ),
    "old count": (
        lambda h: replaced(h / "README.md", "num_examples: 12\n", "num_examples: 15\n"),
        {"card"},
        "'train': 15, ",
    ),
    "old file names": (
        lambda h: replaced(h / "README.md", "bus/train-*.parquet", "data/train-*.parquet"),
        {"card"},
        "data_files: ",
    ),
    "not in the card": (
        lambda h: replaced(h / "README.md", "config_name: bus\n", "config_name: cxr\n"),
        {"card"},
        "no entry",
    ),
    "only a path": (
        lambda h: set_values(shard(h), 0, image={"bytes": None, "path": "/home/me/x.png"}),
        {"embedded"},
        "image is only a path, '/home/me/x.png'",
    ),
    "another mode": (
        lambda h: set_values(shard(h), 3, image=picture(Image.new("RGB", (224, 224)))),
        {"pictures"},
        "image is 224x224 RGB",
    ),
    "another size": (
        lambda h: set_values(shard(h), 3, image=picture(Image.new("L", (224, 225)))),
        {"pictures"},
        "image is 224x225 L",
    ),
    "no picture": (
        lambda h: set_values(shard(h), 3, image={"bytes": b"GIF89a", "path": "x.png"}),
        {"pictures"},
        "image cannot be decoded",
    ),
    "wrong mask": (
        lambda h: set_values(shard(h), 3, mask=picture(Image.new("L", (224, 224)))),
        {"pictures"},
        "mask is 224x224 L",
    ),
    "label too large": (lambda h: set_values(shard(h), 0, case_category=3), {"labels"}, "case_category is 3"),
    "label below zero": (lambda h: set_values(shard(h), 0, malignancy=-1), {"labels"}, "malignancy is -1"),
    "unsorted findings": (
        lambda h: set_values(shard(h, dataset="cxr"), 0, disease_labels=[2, 1]),
        {"labels"},
        "disease_labels is [2, 1]",
    ),
    "finding twice": (
        lambda h: set_values(shard(h, dataset="cxr"), 0, disease_labels=[2, 2]),
        {"labels"},
        "disease_labels is [2, 2]",
    ),
    "unknown findings": (
        lambda h: set_values(shard(h, dataset="cxr"), 0, disease_labels=None),
        {"nulls"},
        "disease_labels",
    ),
    "unknown label": (lambda h: set_values(shard(h), 0, malignancy=None), {"nulls"}, ": malignancy"),
    "no image": (lambda h: set_values(shard(h), 0, image=None), {"nulls"}, ": image"),
    "no number": (lambda h: set_values(shard(h), 0, index=None), {"nulls", "index"}, ": index"),
    "number twice": (
        lambda h: set_values(shard(h), 1, index=rows_of(shard(h))[0]["index"]),
        {"index"},
        "index is not 0 to 17 without gaps: 2 fault(s)",
    ),
    "number too large": (lambda h: set_values(shard(h), 0, index=18), {"index"}, "18 out of range"),
    "same file": (
        lambda h: set_values(shard(h), 0, original_filepath=rows_of(shard(h, "test"))[0]["original_filepath"]),
        {"split groups"},
        "rows of one original_filepath in one split; 1 of them are in two",
    ),
    "same patient": (
        lambda h: a_subject_in_two_splits(h, "cxr"),
        {"split groups"},
        "rows of one subject_id in one split; 1 of",
    ),
    "unknown dataset": (lambda h: renamed(h, "bus", "buss"), {"dataset"}, "unknown dataset"),
}
