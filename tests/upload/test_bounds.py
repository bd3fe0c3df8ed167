"""No Hub folder and no release of others needs more than 3 GB of memory: too large ones are refused by name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fakes.damage import shard
from fakes.publishing import build_folder
from fakes.release import write_release
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options

LIMIT = 3 << 30
SCRIPT = """
import resource, sys
from pathlib import Path
from medimeta.builders.locate import open_source
from medimeta.builders.source import Options
from medimeta.errors import MedIMetaError
from medimeta.learn.leakage.audit import audit, find_sources
from medimeta.upload.folder.writing import write_card
from medimeta.upload.preview.contents import contents
from medimeta.upload.verify.findings import clean, summary
from medimeta.upload.verify.folder import verify_folder
resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
folder = Path({folder!r})

def load():
    source = open_source("bus", folder, Options(partial=True))
    rows = source.manifest()
    for start in range(0, len(rows), 100):
        source.encode(rows[start : start + 100])

def verify():
    if not clean(findings := verify_folder(folder)):
        raise MedIMetaError(summary(findings))

steps = dict(load=load, verify=verify, preview=lambda: contents(folder), card=lambda: write_card(folder, "0"),
             audit=lambda: audit(find_sources([str(folder)])))
for name in {steps!r}:
    try:
        steps[name]()
    except MedIMetaError as error:
        print(name, "refused", str(error).replace(chr(10), " "))
    else:
        print(name, "read")
"""


def _rewritten(hub, column, values, rows):
    """A shard with many rows, in which one column has other values."""
    path = shard(hub)
    table = pq.read_table(path)
    table = table.take([0] * rows)
    place = table.column_names.index(column)
    kind = table.schema.field(column).type
    schema = table.schema
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for start in range(0, rows, 100):
            part = table.slice(start, 100)
            file.write_table(part.set_column(place, column, pa.array(values(len(part)), kind)))
    return path.name


def _long_texts(hub):
    text = "x" * 1_000_000
    return _rewritten(hub, "original_filepath", lambda n: [text] * n, 700)


def _large_pictures(hub):
    picture = {"bytes": bytes(12_000_000), "path": None}
    return _rewritten(hub, "image", lambda n: [picture] * n, 300)


def _one_large_picture(hub):
    return _rewritten(hub, "image", lambda n: [{"bytes": bytes(900_000_000), "path": None}], 1)


def _long_lists(hub):
    path = shard(hub)
    table = pq.read_table(path)
    place, kind = table.column_names.index("original_image_size"), pa.list_(pa.int32())
    sizes = pa.ListArray.from_arrays(pa.array([0, 100_000_000], pa.int32()), pa.array(np.zeros(100_000_000, np.int32)))
    one = table.slice(0, 1).set_column(place, "original_image_size", sizes.cast(kind))
    with pq.ParquetWriter(path, one.schema, compression="zstd") as file:
        for _ in range(8):
            file.write_table(one)
    return path.name


def _many_rows(hub):
    path = shard(hub)
    table = pq.read_table(path, columns=None)
    small = table.set_column(0, "image", pa.nulls(len(table), table.schema.field("image").type))
    with pq.ParquetWriter(path, small.schema) as file:
        for _ in range(10):
            file.write_table(small.take([0] * 100_000))
    return path.name


def _picture_of_13000(hub):
    import io

    buffer = io.BytesIO()
    Image.new("L", (13_000, 13_000)).save(buffer, "PNG")
    return _rewritten(hub, "image", lambda n: [{"bytes": buffer.getvalue(), "path": None}] * n, 3)


def _large_card(hub):
    (hub / "README.md").write_bytes(b"---\n" + b"a: b\n" * 20_000_000)
    return "README.md"


def _yaml_bomb(hub):
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))
    (hub / "README.md").write_text(f"---\n{bomb}---\n", encoding="utf-8")
    return "README.md"


def _large_record(hub):
    (hub / "records" / "bus" / "build.json").write_text("[" * 50_000_000, encoding="utf-8")
    return "build.json"


def _wide_record(hub):
    record = json.loads((hub / "records" / "bus" / "build.json").read_text())
    record["rows"] = {f"split{n}": n for n in range(2_000_000)}
    (hub / "records" / "bus" / "build.json").write_text(json.dumps(record), encoding="utf-8")
    return "build.json"


HUBS = {
    "long texts": _long_texts,
    "large pictures": _large_pictures,
    "one large picture": _one_large_picture,
    "long lists": _long_lists,
    "a million rows": _many_rows,
    "a picture of 13,000 x 13,000": _picture_of_13000,
    "a card of 100 MB": _large_card,
    "a card that grows": _yaml_bomb,
    "a record of brackets": _large_record,
    "a record of two million splits": _wide_record,
}


def run(folder, *steps):
    script = SCRIPT.format(limit=LIMIT, folder=str(folder), steps=steps)
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:] or done.returncode
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return build_folder(tmp_path_factory.mktemp("whole"), {"bus": 2})


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space as Linux does")
@pytest.mark.parametrize("case", HUBS)
def test_hub_folders_are_refused_by_name(case, whole, tmp_path):
    hub = shutil.copytree(whole, tmp_path / "hub")
    name = HUBS[case](hub)

    ends = run(hub, "load", "verify", "preview", "card", "audit")

    assert len(ends) == 5
    wrong = [f"{step}: {end}" for step, end in ends.items() if end.startswith("refused") and name not in end]
    assert not wrong
    assert any(end.startswith("refused") for end in ends.values())


def _aliases(home):
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))
    with (home / "info.yaml").open("a", encoding="utf-8") as file:
        file.write(bomb)
    return "info.yaml"


def _long_list(home):
    import pandas as pd

    table = pd.read_csv(home / "annotations.csv", dtype=str, keep_default_na=False)
    table["original_image_size"] = table["original_image_size"].astype(object)
    table.loc[0, "original_image_size"] = "(" + "1," * 3_000_000 + ")"
    table.to_csv(home / "annotations.csv", index=False)
    return "annotations.csv"


def _huge_chunk(home):
    import h5py

    shutil.rmtree(home / "images", ignore_errors=True)
    with h5py.File(home / "images.hdf5", "r") as file:
        shape = file["images"].shape
    with h5py.File(home / "images.hdf5", "w") as file:
        file.create_dataset("images", (60_000, *shape[1:]), "u1", chunks=(60_000, *shape[1:]), compression="gzip")
    return "images.hdf5"


def _huge_labels(home):
    path = next((home / "task_labels").glob("*.npy"))
    with path.open("wb") as file:
        np.lib.format.write_array_header_2_0(file, {"descr": "<i8", "fortran_order": False, "shape": (10**9,)})
        file.truncate(8 << 30)
    return path.name


def _large_split(home):
    path = home / "splits" / "train.txt"
    with path.open("wb") as file:
        file.truncate(5 << 30)
    return path.name


RELEASES = {
    "info.yaml that grows": _aliases,
    "a list of 6 MB": _long_list,
    "an HDF5 chunk of 3 GB": _huge_chunk,
    "labels of 8 GB": _huge_labels,
    "a split of 5 GB": _large_split,
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space as Linux does")
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("case", RELEASES)
def test_releases_are_refused_by_name(case, packed, tmp_path):
    raw = write_miniature("bus", tmp_path / "raw", per_class=1)
    home = write_release(open_source("bus", raw, Options(partial=True, with_masks=True)), tmp_path, tiff=False)
    name = RELEASES[case](home)
    place = tmp_path
    if packed:
        place = tmp_path / "packed.zip"
        with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
            for path in sorted(p for p in home.rglob("*") if p.is_file()):
                file.write(path, f"bus/{path.relative_to(home)}")
        shutil.rmtree(home)

    end = run(place, "load")["load"]

    assert end.startswith("refused"), end
    assert name in end
