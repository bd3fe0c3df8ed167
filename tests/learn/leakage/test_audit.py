"""Leakage audit: what is found and what is not, the search against brute force, and the rows left out."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from fakes.golden import RAW
from fakes.images.copies import PARTIAL, InMemory, groups, picture, pictures
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.errors import SourceBroken
from medimeta.files.parallel import pool
from medimeta.learn.leakage.audit import DISTANCE, Ledger, audit, find_sources, leaked_indices
from medimeta.upload.folder.writing import build

ROOT = Path(__file__).parents[3]


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


def test_mostly_empty_images_are_not_near_duplicates():
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
