"""Comparing: sources of the same dataset are equal in any form, and every kind of difference is named and counted."""

from __future__ import annotations

import io
import json
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from PIL import Image

from fakes.golden import RAW
from fakes.parquet import edit, move_row, rows_of, set_values
from fakes.release import write_release
from fakes.tiers import quick
from medimeta.builders.images import encode
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options
from medimeta.errors import MedIMetaError
from medimeta.upload.folder.writing import build
from medimeta.upload.verify.compare import compare

OPTIONS = Options(partial=True, with_masks=True)
MINIATURES = {"bus": 8, "skinl_derm": 2, "organs_axial": 2, "cxr": 2}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Folder of the raw source, the release and the Hub folder of each miniature."""
    home = tmp_path_factory.mktemp("compare")
    for dataset, per_class in MINIATURES.items():
        source = open_source(dataset, write_miniature(dataset, home / "raw" / dataset, per_class=per_class), OPTIONS)
        build(source, home / "hub", version="0")
        write_release(source, home / "release")
    return home


@pytest.fixture
def hub(places, tmp_path):
    """A Hub folder to damage."""
    return shutil.copytree(places / "hub", tmp_path / "hub")


def opened(places, kind, dataset, options=OPTIONS):
    return open_source(dataset, places / kind / dataset, options)


def against(places, hub, dataset="bus", **more):
    return compare(opened(places, "raw", dataset), open_source(dataset, hub, OPTIONS), **more)


def shard(hub, split, dataset="bus"):
    return hub / dataset / f"{split}-00000-of-00001.parquet"


def differing(comparison):
    """What a comparison reports, without places and examples."""
    found = {
        "only here": comparison.only_here,
        "only there": comparison.only_there,
        "split": comparison.splits,
        "index": comparison.index,
        **comparison.labels,
        **comparison.annotations,
        **{f"{name} differing": pixels.differing for name, pixels in comparison.pixels.items()},
        **{f"{name} unlike": pixels.unlike for name, pixels in comparison.pixels.items()},
    }
    return {name: tally.rows for name, tally in found.items() if tally.rows}


def changed(data, *changes):
    pixels = np.array(Image.open(io.BytesIO(data)))
    for place, levels in changes:
        pixels[place] = pixels[place] + levels if pixels[place] < 128 else pixels[place] - levels
    return {"bytes": encode(Image.fromarray(pixels)), "path": "x.png"}


@pytest.mark.parametrize("dataset", quick("bus", "cxr", of=MINIATURES))
@pytest.mark.parametrize("kinds", [("raw", "hub"), ("raw", "release"), ("release", "hub"), ("hub", "hub")])
def test_any_form_of_a_dataset_equals_any_other(places, dataset, kinds):
    ours, theirs = (opened(places, kind, dataset) for kind in kinds)
    finished = []

    found = compare(ours, theirs, advance=finished.append)

    assert found.equal, found.summary()
    assert differing(found) == {}
    assert sum(finished) == found.rows == len(ours.manifest())
    assert all(pixels.equal == found.rows for pixels in found.pixels.values())
    assert found.not_given == (("subject_id",) if dataset == "skinl_derm" and "release" in kinds else ())
    assert found.summary().endswith("Equal.")


@pytest.mark.parametrize("dataset", ["bus", "organs_sagittal"])
def test_real_rows_equal_their_own_hub_folder(shared, tmp_path, dataset):
    source = open_source(dataset, shared / "real" / RAW[dataset], Options(partial=True))
    build(source, tmp_path / "hub", version="0")

    found = compare(source, open_source(dataset, tmp_path / "hub"))

    assert found.equal, found.summary()


def test_pixels_that_differ_are_counted_by_their_largest_difference(places, hub):
    rows = rows_of(shard(hub, "train"))
    set_values(shard(hub, "train"), 1, image=changed(rows[1]["image"]["bytes"], ((5, 7), 3), ((9, 9), 1)))
    set_values(shard(hub, "train"), 4, image=changed(rows[4]["image"]["bytes"], ((0, 0), 3)))
    set_values(shard(hub, "train"), 6, image=changed(rows[6]["image"]["bytes"], ((0, 0), 1)))

    found = against(places, hub)

    assert differing(found) == {"image differing": 3}
    pixels = found.pixels["image"]
    assert pixels.levels == {1: 1, 3: 2}
    assert pixels.equal == found.rows - 3
    assert pixels.mean == pytest.approx(8 / 3 / 224**2)
    path = f"{rows[1]['original_filepath']} (index {rows[1]['index']})"
    assert pixels.differing.examples[0] == f"{path}: up to 3 grey level(s), in 2 value(s)"
    assert "image, up to 3 grey level(s) apart (1 in 1 row(s), 3 in 2 row(s)" in found.summary()
    assert found.summary().endswith("Not equal.")


def test_same_pixels_in_other_bytes_are_equal(places, hub):
    image = Image.open(io.BytesIO(rows_of(shard(hub, "train"))[0]["image"]["bytes"]))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=9)
    set_values(shard(hub, "train"), 0, image={"bytes": buffer.getvalue(), "path": "x.png"})

    assert against(places, hub).equal


@pytest.mark.parametrize(
    ("picture", "form"),
    [(b"no picture", "damaged"), (encode(Image.new("RGB", (224, 224))), "224x224 RGB"), (None, "none")],
)
def test_a_picture_without_common_pixels_is_named(places, hub, picture, form):
    set_values(shard(hub, "train"), 2, image={"bytes": picture, "path": "x.png"})

    found = against(places, hub)

    assert differing(found) == {"image unlike": 1}
    assert found.pixels["image"].unlike.examples[0].endswith(f"224x224 L here, {form} there")


def test_masks_are_compared_too(places, hub):
    set_values(shard(hub, "train"), 0, mask={"bytes": encode(Image.new("1", (224, 224), 1)), "path": "x.png"})

    found = against(places, hub)

    assert differing(found) == {"mask differing": 1}
    assert found.pixels["mask"].levels == {255: 1}


def test_a_changed_label_is_told_by_name(places, hub):
    row = rows_of(shard(hub, "train"))[3]
    names = ["normal", "benign", "malignant"]
    set_values(shard(hub, "train"), 3, case_category=(row["case_category"] + 1) % 3)

    found = against(places, hub)

    assert differing(found) == {"case category": 1}
    here, there = names[row["case_category"]], names[(row["case_category"] + 1) % 3]
    assert found.labels["case category"].examples[0].endswith(f": {here!r} here, {there!r} there")
    assert "task 'case category': 1 row(s)" in found.summary()


def test_changed_findings_and_labels_without_a_name_are_told(places, hub):
    set_values(shard(hub, "train", "cxr"), 0, disease_labels=[0, 13, 99])

    found = against(places, hub, "cxr")

    assert differing(found) == {"disease labels": 1}
    assert found.labels["disease labels"].examples[0].endswith("['Atelectasis', 'Hernia', 99] there")


def test_missing_and_additional_rows(places, hub):
    gone = rows_of(shard(hub, "train"))[2]
    edit(shard(hub, "train"), lambda rows: rows[:2] + rows[3:])
    set_values(shard(hub, "test"), 0, original_filepath="benign/invented.png")

    found = against(places, hub)

    assert differing(found) == {"only here": 2, "only there": 1}
    assert f"{gone['original_filepath']} (index {gone['index']})" in found.only_here.examples
    assert found.only_there.examples[0].startswith("benign/invented.png (index ")
    assert found.rows == 22


def test_a_row_in_another_split(places, hub):
    row = rows_of(shard(hub, "train"))[0]
    move_row(shard(hub, "train"), shard(hub, "test"))

    found = against(places, hub)

    assert differing(found) == {"split": 1}
    assert found.splits.examples == (f"{row['original_filepath']} (index {row['index']}): 'train' here, 'test' there",)


def test_another_number_and_another_annotation(places, hub):
    set_values(shard(hub, "validation"), 0, index=1000)
    set_values(shard(hub, "train"), 0, original_image_size=[1, 2], original_split="test", subject_id="me")

    found = against(places, hub)

    assert differing(found) == {"index": 1, "original_image_size": 1, "original_split": 1, "subject_id": 1}


def test_a_path_that_gives_several_rows_is_matched_by_labels(places, hub):
    """Eleven organs are in one volume; one of them gets the label of another, which then is there twice."""
    rows = rows_of(shard(hub, "test", "organs_axial"))
    assert len({row["original_filepath"] for row in rows}) < len(rows)
    set_values(shard(hub, "test", "organs_axial"), 4, organ_label=rows[5]["organ_label"])

    found = against(places, hub, "organs_axial")

    assert found.rows == 22
    assert differing(found) == {"organ label": 1}


def test_rows_stored_in_another_order_are_found(places, hub):
    edit(shard(hub, "train"), lambda rows: rows[::-1])

    assert against(places, hub).equal
    assert compare(open_source("bus", hub, OPTIONS), opened(places, "hub", "bus")).equal


def test_any_number_of_workers_gives_the_same(places, hub):
    set_values(shard(hub, "train"), 3, original_image_size=[1, 2])

    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        assert against(places, hub, executor=executor, workers=2) == against(places, hub)


def test_is_ready_for_json(places, hub):
    edit(shard(hub, "train"), lambda rows: rows[1:])

    facts = json.loads(json.dumps(against(places, hub).as_dict()))

    assert facts["equal"] is False
    assert facts["only_here"]["rows"] == 1
    assert facts["labels"]["malignancy"] == {"rows": 0, "examples": []}


def test_columns_that_a_hub_folder_lost_are_not_excused(places, hub):
    for split in ("train", "validation", "test"):
        edit(shard(hub, split, "skinl_derm"), lambda rows: [row | {"subject_id": None} for row in rows])

    found = against(places, hub, "skinl_derm")

    assert differing(found) == {"subject_id": found.rows}
    assert not found.not_given


def test_refuses_two_datasets(places):
    with pytest.raises(MedIMetaError, match=r"source of cxr, not of bus"):
        compare(opened(places, "raw", "bus"), opened(places, "hub", "cxr"))
