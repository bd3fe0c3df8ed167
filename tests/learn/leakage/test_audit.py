"""Leakage audit: what is found and what is not, the search against brute force, and the rows left out."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageFilter

from fakes.golden import RAW
from medimeta.builders.images import encode
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options, Source
from medimeta.errors import MedIMetaError, SourceBroken, SourceNotFound, UnknownName
from medimeta.files.parallel import pool
from medimeta.learn.leakage import hashes
from medimeta.learn.leakage.audit import DISTANCE, Ledger, audit, find_sources, leaked_indices
from medimeta.upload.folder.writing import build

ROOT = Path(__file__).parents[3]
PARTIAL = Options(partial=True)


@dataclass(frozen=True)
class InMemory(Source):
    """Images in memory: (split, subject, image)."""

    kind = "memory"
    rows: tuple[Any, ...] = ()

    @property
    def stamp(self):
        return ""

    def manifest(self):
        rows = pd.DataFrame(self.rows, columns=["split", "subject_id", "picture"])
        index = np.arange(len(rows), dtype=np.int32)
        return rows.assign(index=index, original_filepath=[f"{i}.png" for i in index])

    def encode(self, rows):
        return [{"image": encode(picture)} for picture in rows["picture"]]


def pictures(dataset, *rows):
    return InMemory(dataset, Path(), rows=rows)


def picture(seed, colour=False):
    """Return noise with detail at every scale, like a photograph."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((224, 224, 3))
    for cells in (3, 7, 14, 28, 56):
        noise = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        pixels += (np.asarray(noise.resize((224, 224), Image.Resampling.BICUBIC)) - 127.5) / cells**0.5
    image = Image.fromarray((120 + pixels * 0.8).clip(0, 255).astype(np.uint8))
    return image if colour else image.convert("L")


def reencoded(image):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=75)
    return Image.open(buffer).convert(image.mode)


def changed(image, change):
    return Image.fromarray(change(np.asarray(image).astype(int)).clip(0, 255).astype(np.uint8))


CHANGES = {
    "re-encoded": reencoded,
    "brighter": lambda image: changed(image, lambda pixels: pixels + 12),
    "more contrast": lambda image: changed(image, lambda pixels: 1.15 * (pixels - 110) + 110),
    "one pixel to the right": lambda image: changed(image, lambda pixels: np.roll(pixels, 1, axis=1)),
    "one pixel down": lambda image: changed(image, lambda pixels: np.roll(pixels, 1, axis=0)),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(1)),
}


def groups(ledger, kind):
    """Return the groups of a kind, each as (dataset, index) of its members."""
    rows = ledger.rows[ledger.rows["kind"] == kind]
    return [list(zip(part["dataset"], part["index"], strict=True)) for _, part in rows.groupby("group")]


def codes(seed, count, distance=5):
    """Return random codes, with planted pairs at all distances up to slightly more than asked for."""
    rng = np.random.default_rng(seed)
    found = rng.integers(0, 2**64, count, dtype=np.uint64)
    for i in range(1, count, 2):
        bits = rng.choice(64, rng.integers(1, distance + 3), replace=False)
        found[i] = found[i - 1] ^ np.bitwise_or.reduce(np.uint64(1) << bits.astype(np.uint64))
    return np.unique(found)


def signatures(rng, count):
    return rng.integers(0, 2**64, (count, hashes.WORDS), dtype=np.uint64)


@pytest.mark.parametrize("colour", [False, True])
def test_same_pixels_are_exact_duplicates_and_nothing_else(colour):
    dataset = "pbc" if colour else "bus"
    rows = [("train" if seed < 20 else "test", None, picture(seed, colour)) for seed in range(30)]
    rows[25] = ("test", None, rows[3][2].copy())

    ledger = audit([pictures(dataset, *rows)])

    assert groups(ledger, "exact") == [[(dataset, 3), (dataset, 25)]]
    assert set(ledger.rows["kind"]) == {"exact"}
    assert ledger.rows["distance"].tolist() == [0, 0]
    assert leaked_indices(ledger, dataset, "train") == {3}
    assert leaked_indices(ledger, dataset, "test") == set()


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("colour", [False, True])
def test_a_changed_copy_is_a_near_duplicate(change, colour):
    originals = [picture(seed, colour) for seed in range(20)]
    copies = [CHANGES[change](image) for image in originals]
    rows = [("train", None, image) for image in originals] + [("test", None, image) for image in copies]

    ledger = audit([pictures("pbc" if colour else "bus", *rows)])

    found = [[index for _, index in group] for group in groups(ledger, "near")]
    assert found == [[i, i + 20] for i in range(20)]
    assert groups(ledger, "exact") == []
    near = ledger.rows["distance"]
    assert near.iloc[::2].eq(0).all()
    assert near.iloc[1::2].between(0, DISTANCE).all()


def test_a_near_group_takes_exact_copies_along():
    image = picture(0)
    near = CHANGES["brighter"](image)
    ledger = audit([pictures("bus", ("train", None, image), ("train", None, image), ("validation", None, near))])

    assert groups(ledger, "exact") == [[("bus", 0), ("bus", 1)]]
    assert groups(ledger, "near") == [[("bus", 0), ("bus", 1), ("bus", 2)]]
    assert leaked_indices(ledger, "bus", "train", kinds=("exact",)) == set()
    assert leaked_indices(ledger, "bus", "train", kinds=("near",)) == {0, 1}
    assert len(set(ledger.rows["group"])) == 2  # a number names one group


def test_flat_images_are_one_group_and_no_flood():
    flat = [Image.new("L", (224, 224), level) for level in (0, 128, 255)]
    rows = [("train", None, flat[i % 3]) for i in range(600)] + [("test", None, picture(1))]

    ledger = audit([pictures("bus", *rows)])

    assert [len(group) for group in groups(ledger, "exact")] == [200, 200, 200]
    assert [len(group) for group in groups(ledger, "near")] == [600]  # they differ in brightness only
    assert len(ledger.rows) == 1200


def test_mostly_empty_images_are_not_near_for_want_of_detail():
    rows = []
    for left, top in ((20, 20), (60, 25), (25, 70), (110, 110)):
        pixels = np.full((224, 224), 40, np.uint8)
        pixels[top : top + 60, left : left + 60] = 200
        rows.append(("train", None, Image.fromarray(pixels)))
    rows.append(("test", None, CHANGES["re-encoded"](CHANGES["brighter"](rows[0][2]))))

    assert groups(audit([pictures("bus", *rows)]), "near") == [[("bus", 0), ("bus", 4)]]


def test_subjects_within_a_dataset_and_only_between_datasets_that_share_them():
    rows = [("train", "P_1"), ("train", "P_2"), ("validation", "P_2"), ("test", None), ("test", None), ("test", "P_3")]
    named = [(split, subject, picture(seed)) for seed, (split, subject) in enumerate(rows)]
    other = [
        (split, subject, picture(seed + 50))
        for seed, (split, subject) in enumerate([("test", "P_1"), ("train", "P_9")])
    ]

    pair = audit([pictures("mammo_mass", *named), pictures("mammo_calc", *other)])
    strangers = audit([pictures("oct", *named), pictures("pneumonia", *other)])

    assert groups(pair, "subject") == [
        [("mammo_mass", 0), ("mammo_calc", 0)],
        [("mammo_mass", 1), ("mammo_mass", 2)],
    ]
    assert pair.rows["distance"].isna().all()
    assert leaked_indices(pair, "mammo_mass", "train") == {0, 1}
    assert leaked_indices(pair, "mammo_mass", "train", datasets=["mammo_mass"]) == {1}
    assert leaked_indices(pair, "mammo_mass", "train", against=["val"]) == {1}
    assert leaked_indices(pair, "mammo_mass", "val") == set()
    assert leaked_indices(pair, "mammo_mass", "val", against=("train", "validation")) == {2}
    assert leaked_indices(pair, "mammo_calc", "test", against=("train",)) == {0}
    assert groups(strangers, "subject") == [[("oct", 1), ("oct", 2)]]


def test_skin_lesion_pair_of_one_source(tmp_path):
    raw = write_miniature("skinl_derm", tmp_path / "raw", per_class=3)
    ledger = audit([open_source(dataset, raw, PARTIAL) for dataset in ("skinl_derm", "skinl_photo")])

    shared = groups(ledger, "subject")
    assert len(shared) == sum(ledger.images["skinl_derm"].values()) > 10
    assert all([dataset for dataset, _ in group] == ["skinl_derm", "skinl_photo"] for group in shared)
    assert len(groups(ledger, "exact")) == 1  # the case with the same file twice
    assert ledger.across_splits().table.num_rows == 0  # both have the same splits
    assert leaked_indices(ledger, "skinl_photo", "train") == set()


@pytest.mark.slow
def test_mammography_pair_and_real_samples(shared):
    def found(*ids):
        return audit([open_source(dataset, shared / "real" / RAW[dataset], PARTIAL) for dataset in ids])

    pair = found("mammo_calc", "mammo_mass")
    both = pair.rows[pair.rows["kind"] == "subject"].groupby("group")["dataset"].nunique()
    sources = [open_source(dataset, shared / "real" / RAW[dataset], PARTIAL) for dataset in pair.images]
    calc, mass = (set(source.manifest()["subject_id"]) for source in sources)
    assert (both == 2).sum() == len(calc & mass) > 0
    samples = found("bus", "pbc", "derm", "fundus", "aml")
    assert samples.rows["original_filepath"].tolist() == ["normal/normal (23).png", "normal/normal (81).png"]


@pytest.mark.parametrize("distance", [0, 1, 3, 4, 7, 8, 12])
@pytest.mark.parametrize("seed", [0, 1])
def test_search_finds_what_brute_force_finds(seed, distance):
    some = codes(seed, 600, distance)
    expected = {
        (i, j) for i, j in combinations(range(len(some)), 2) if (int(some[i]) ^ int(some[j])).bit_count() <= distance
    }

    found = {
        (min(pair), max(pair))
        for first, second in hashes.near_pairs(some, distance)
        for pair in zip(first.tolist(), second.tolist(), strict=True)
    }

    assert found == expected
    assert expected or distance == 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("piece", [3, 1 << 18])
def test_groups_are_the_connected_components(seed, piece, monkeypatch):
    monkeypatch.setattr(hashes, "PIECE", piece)
    rng = np.random.default_rng(seed)
    some = signatures(rng, 60)
    for i in range(1, 60):  # chains of near and of equal ones, and coarse codes alone that agree
        if rng.random() < 0.6:
            some[i] = some[j := rng.integers(i)]
            some[i, 0] = some[j, 0] ^ np.uint64(int(rng.integers(2**6)) << int(rng.integers(58)))
            some[i, 1:] ^= (rng.random(hashes.WORDS - 1) < 0.2) * rng.integers(0, 2**16, dtype=np.uint64)
        elif rng.random() < 0.5:
            some[i, 0] = some[i - 1, 0]
    expected = list(range(60))
    for i, j in combinations(range(60), 2):
        if hashes.difference(some[i], some[j]) <= 4 and expected[i] != expected[j]:
            old, new = expected[j], expected[i]
            expected = [new if group == old else group for group in expected]

    found = hashes.near_groups(some, 4)

    assert np.array_equal(found[:, None] == found, np.equal.outer(expected, expected))
    assert 1 < len(set(expected)) < 60


def test_bits_are_counted_alike_in_numpy_1(monkeypatch):
    words = signatures(np.random.default_rng(0), 20)
    expected = np.vectorize(lambda word: int(word).bit_count())(words)

    assert np.array_equal(hashes._ones(words), expected)
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert np.array_equal(hashes._ones(words[:, 1:]), expected[:, 1:])


def test_a_hundred_thousand_images_in_little_memory():
    rng = np.random.default_rng(0)
    many = signatures(rng, 100_000)
    planted = rng.permutation(100_000)[:1000].reshape(2, 500)
    many[planted[1]] = many[planted[0]]
    many[planted[1], 0] ^= np.uint64(0b1111111) << rng.integers(0, 57, 500, dtype=np.uint64)
    flat = rng.permutation(np.setdiff1d(np.arange(100_000), planted))[:20_000]
    many[flat] = 0

    tracemalloc.start()
    found = hashes.near_groups(many, DISTANCE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 10 * many.nbytes
    assert np.array_equal(found[planted[0]], found[planted[1]])
    sizes = np.sort(np.bincount(found))
    assert sizes[-1] == 20_000
    assert sizes[-501:-1].tolist() == [2] * 500
    assert sizes[-502] == 1


@pytest.mark.slow
def test_one_and_two_workers_give_the_same_ledger(tmp_path):
    raw = write_miniature("pbc", tmp_path / "raw", per_class=15)
    build(open_source("pbc", raw, PARTIAL), tmp_path / "hub", version="0")
    finished = []

    alone = audit([open_source("pbc", raw, PARTIAL)], advance=finished.append)
    with pool(2, at_once=True) as (executor, workers):
        two = audit([open_source("pbc", raw, PARTIAL)], executor=executor, workers=workers)
    with ThreadPoolExecutor(2) as executor:
        hub = audit(find_sources([str(tmp_path / "hub")]), executor=executor, workers=2)

    assert sum(finished) == 120
    assert two.table.equals(alone.table, check_metadata=True)
    assert hub.table.equals(alone.table, check_metadata=True)


def test_a_ledger_survives_its_file(tmp_path):
    image = picture(0)
    ledger = audit(
        [pictures("derm", ("train", "L1", image), ("test", None, image), ("test", "L1", picture(2)))], distance=3
    )
    ledger.save(tmp_path / "ledger.parquet")

    again = Ledger.load(tmp_path / "ledger.parquet")

    assert again.table.equals(ledger.table, check_metadata=True)
    assert (again.distance, again.images) == (3, {"derm": {"train": 1, "test": 2}})
    assert leaked_indices(tmp_path / "ledger.parquet", "derm", "train") == {0}
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.parquet"]
    assert ledger.rows["subject_id"].isna().tolist() == [False, True, False, False]


def test_summary_counts_groups_per_pair_of_splits():
    copies = [picture(seed) for seed in range(3)]
    rows = [("train", None, copies[0]), ("train", None, copies[0]), ("test", None, copies[0])]
    rows += [
        ("train", None, copies[1]),
        ("test", None, copies[1]),
        ("train", None, copies[2]),
        ("train", None, copies[2]),
    ]

    ledger = audit([pictures("bus", *rows)])

    expected = [("train", "train", 2, 4, 4), ("train", "test", 2, 3, 2)]
    counts = ledger.counts()
    assert list(
        counts[["split", "other_split", "groups", "images", "other_images"]].itertuples(index=False, name=None)
    ) == (expected)
    lines = ledger.summary().splitlines()
    assert lines[0].startswith("Images compared: 7 of bus.")
    assert [line.split() for line in lines[2:]] == [
        ["exact", "bus", "train", "within", "2", "4"],
        ["exact", "bus", "train", "bus", "test", "2", "3", "+", "2"],
    ]
    assert [len(group) for group in groups(ledger.across_splits(), "exact")] == [3, 2]
    assert ledger.across_splits().images == ledger.images
    assert "No leaks found" in audit([pictures("bus", ("train", None, picture(0)))]).summary()


def test_mistakes_are_named(tmp_path):
    one = pictures("bus", ("train", None, picture(0)))
    ledger = audit([one])
    assert ledger.across_splits().table.num_rows == 0

    with pytest.raises(MedIMetaError, match="bus is given more than once"):
        audit([one, one])
    with pytest.raises(MedIMetaError, match="distance is 17; it must be from 0"):
        audit([one], distance=17)
    with pytest.raises(UnknownName, match=r"Unknown dataset of the ledger 'pbc'.*medimeta audit"):
        leaked_indices(ledger, "pbc", "train")
    with pytest.raises(UnknownName, match=r"Unknown kind of leak 'exakt'. Did you mean 'exact'"):
        leaked_indices(ledger, "bus", "train", kinds=("exakt",))
    with pytest.raises(UnknownName, match="Unknown split 'trian'"):
        leaked_indices(ledger, "bus", "trian")
    with pytest.raises(MedIMetaError, match=r"nothing.parquet is not a ledger.*medimeta audit"):
        leaked_indices(tmp_path / "nothing.parquet", "bus", "train")
    pq.write_table(ledger.table.select(["kind"]), tmp_path / "other.parquet")
    with pytest.raises(MedIMetaError, match="it has other columns"):
        Ledger.load(tmp_path / "other.parquet")
    for metadata in (None, b"", b"[]", b"{}", b'{"distance": "7", "images": {"bus": 3}}', b"[" * 9999, b"\xff"):
        broken = ledger.table.replace_schema_metadata(None if metadata is None else {b"medimeta": metadata})
        pq.write_table(broken, tmp_path / "other.parquet")
        with pytest.raises(MedIMetaError, match="its metadata"):
            Ledger.load(tmp_path / "other.parquet")
    with pytest.raises(SourceNotFound, match=r"not a Hub folder with datasets.*ID=PATH"):
        find_sources([str(tmp_path)])
    with pytest.raises(SourceNotFound, match="does not exist"):
        find_sources([f"bus={tmp_path / 'nowhere'}"])


def test_an_image_that_cannot_be_decoded_is_named(monkeypatch):
    monkeypatch.setattr(InMemory, "encode", lambda self, rows: [{"image": b"RIFF"} for _ in rows["index"]])

    with pytest.raises(SourceBroken, match=r"Image 0 of bus in .* cannot be decoded"):
        audit([pictures("bus", ("train", None, picture(0)))])


@pytest.mark.slow
def test_the_command(tmp_path):
    raw = write_miniature("bus", tmp_path / "raw", per_class=4, packed=False)
    folder = raw / "Dataset_BUSI_with_GT"
    (folder / "normal" / "normal (1).png").write_bytes((folder / "benign" / "benign (2).png").read_bytes())
    command = [sys.executable, "-m", "medimeta", "audit", f"bus={raw}", "--partial"]
    command += ["--out", str(tmp_path / "ledger.parquet")]

    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    as_json = subprocess.run([*command, "--json", "--num-proc", "2"], cwd=ROOT, capture_output=True, text=True)

    assert shown.returncode == 0, shown.stderr
    ledger = Ledger.load(tmp_path / "ledger.parquet")
    assert shown.stdout == ledger.summary() + "\n"
    assert json.loads(as_json.stdout) == ledger.as_dict()
    assert ledger.rows["original_filepath"].tolist() == ["benign/benign (2).png", "normal/normal (1).png"]


def test_contradictory_labels_come_first_with_both_labels(tmp_path):
    raw = write_miniature("bus", tmp_path / "raw", per_class=4, packed=False)
    folder = raw / "Dataset_BUSI_with_GT"
    (folder / "normal" / "normal (1).png").write_bytes((folder / "benign" / "benign (2).png").read_bytes())
    (folder / "benign" / "benign (3).png").write_bytes((folder / "benign" / "benign (4).png").read_bytes())

    ledger = audit([open_source("bus", raw, PARTIAL)])
    ledger.save(tmp_path / "ledger.parquet")

    table = pq.read_table(tmp_path / "ledger.parquet").to_pandas()
    assert table["case_category"].tolist() == ["benign", "normal", "benign", "benign"]
    assert set(table["malignancy"]) == {"no malignant finding"}
    first, *lines = Ledger.load(tmp_path / "ledger.parquet").summary().splitlines()
    assert first == "1 group(s) of copies have contradictory labels:"
    assert [line.partition("  case_category: ")[2] for line in lines[1:3]] == ["benign", "normal"]
    assert {row["contradicts"] for row in ledger.as_dict()["contradictions"]} == {"case_category"}
    assert set(ledger.contradictions()["original_filepath"]) == {"benign/benign (2).png", "normal/normal (1).png"}
