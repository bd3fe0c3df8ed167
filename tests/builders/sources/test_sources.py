"""bus, pbc and skinl_*: what is special about each, on miniatures, and what the checks say."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fakes.golden import golden_folder
from fakes.tiers import quick
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options, RawSource
from medimeta.builders.table.manifest import canonical
from medimeta.cards.catalogue import DATASETS
from medimeta.errors import SourceBroken, SourceIncomplete

PARTIAL = Options(partial=True)


def source(dataset, folder, options=PARTIAL, per_class=3):
    return RawSource(dataset, write_miniature(dataset, folder, per_class=per_class, packed=False), options)


@pytest.mark.parametrize("dataset", quick("bus", "cxr", "fundus", "mammo_calc", "organs_axial", of=DATASETS))
def test_miniatures_show_every_task(dataset, tmp_path):
    manifest = RawSource(dataset, write_miniature(dataset, tmp_path), PARTIAL).manifest()

    for task in DATASETS[dataset].tasks:
        values = manifest[task.column]
        seen = set(values.explode().dropna()) if task.kind == "multilabel" else set(values)
        assert len(seen) > 1
    assert set(manifest["split"]) <= {"train", "validation", "test"}


@pytest.mark.parametrize("dataset", quick("bus", of=["bus", "pbc", "skinl_derm"]))
def test_packed_and_unpacked_miniatures_give_the_same_rows(dataset, tmp_path):
    packed = RawSource(dataset, write_miniature(dataset, tmp_path / "zip"), PARTIAL)
    unpacked = RawSource(dataset, write_miniature(dataset, tmp_path / "folder", packed=False), PARTIAL)

    pd.testing.assert_frame_equal(packed.manifest(), unpacked.manifest())
    assert packed.encode(packed.manifest()[:5]) == unpacked.encode(unpacked.manifest()[:5])


def test_bus_masks_are_the_first_ones(shared):
    expected = pd.read_csv(golden_folder("bus") / "masks.csv")
    bus = RawSource("bus", shared / "real" / "busi", Options(partial=True, with_masks=True))
    import hashlib

    rows = bus.encode(bus.manifest())
    found = [
        hashlib.sha256(np.asarray(Image.open(io.BytesIO(row["mask"]))).astype(np.uint8).tobytes()).hexdigest()
        for row in rows
    ]

    assert found == expected["mask_sha256"].to_list()


def test_pbc_folder_ig_is_published_under_its_full_name(tmp_path):
    manifest = source("pbc", tmp_path).manifest()

    renamed = manifest[manifest["original_filepath"].str.startswith("immature granulocyte/")]
    assert len(renamed) == 3
    assert renamed["path"].str.startswith("ig/").all()
    assert manifest["original_filepath"].is_monotonic_increasing
    assert not manifest["original_filepath"].str.contains("DS_").any()


def test_skinl_groups_melanoma_and_keeps_the_case(tmp_path):
    manifest = source("skinl_derm", tmp_path).manifest()
    melanoma = manifest[manifest["original_diagnosis"].str.contains("melanoma")]

    assert melanoma["original_diagnosis"].nunique() > 1
    assert set(melanoma["diagnosis"]) == {8}
    assert manifest["subject_id"].is_unique
    photo = RawSource("skinl_photo", tmp_path, PARTIAL).manifest()
    assert photo["subject_id"].to_list() == manifest["subject_id"].to_list()
    assert (photo["original_filepath"] == manifest["original_filepath"]).sum() == 1  # one case has one file twice


def test_a_case_in_no_index_file_is_an_error(tmp_path):
    skinl = source("skinl_derm", tmp_path)
    index = tmp_path / "release_v0" / "meta" / "test_indexes.csv"
    index.write_text("indexes\n" + "\n".join(index.read_text().splitlines()[2:]) + "\n")

    with pytest.raises(SourceBroken, match=r"case\(s\) \d+ are in no index file"):
        skinl.manifest()


def test_incomplete_sources_are_listed_or_built_in_part(tmp_path):
    folder = write_miniature("bus", tmp_path, per_class=3, packed=False)
    with pytest.raises(
        SourceIncomplete, match=r"(?s)expects 780 images, found 9 .*missing files \(771\).*and 766 more"
    ):
        RawSource("bus", folder).manifest()

    for path in (folder / "Dataset_BUSI_with_GT" / "normal").iterdir():
        path.unlink()
    with pytest.raises(SourceIncomplete, match=r"missing: normal\n"):
        RawSource("bus", folder).manifest()
    assert len(RawSource("bus", folder, PARTIAL).manifest()) == 6

    (folder / "Dataset_BUSI_with_GT" / "benign" / "scan.png").write_bytes(b"x")
    with pytest.raises(SourceIncomplete, match=r"files too many \(1\): benign/scan.png"):
        RawSource("bus", folder).manifest()


def test_files_that_a_table_lists_but_that_are_absent(tmp_path):
    skinl = source("skinl_derm", tmp_path)
    gone = skinl.manifest()["path"].iloc[4]
    (tmp_path / "release_v0" / gone).unlink()

    assert gone not in set(source_again("skinl_derm", tmp_path, PARTIAL).manifest()["path"])
    with pytest.raises(SourceIncomplete, match=rf"missing files \(1\): {gone}"):
        source_again("skinl_derm", tmp_path, Options()).manifest()


def source_again(dataset, folder, options):
    return RawSource(dataset, folder, options)


def test_nothing_at_all_is_an_error_even_in_part(tmp_path):
    (tmp_path / "benign").mkdir()
    (tmp_path / "benign" / "readme.txt").write_text("x")

    with pytest.raises(SourceIncomplete, match="There are no images of bus"):
        RawSource("bus", tmp_path, PARTIAL).manifest()


@pytest.mark.parametrize("cut", [0, 30, 1000])
def test_a_damaged_image_is_named(tmp_path, cut):
    bus = source("bus", tmp_path)
    path = tmp_path / "Dataset_BUSI_with_GT" / "benign" / "benign (2).png"
    path.write_bytes(path.read_bytes()[:cut])

    reasons = "not a readable|cannot be rendered|damaged or cut"
    with pytest.raises(SourceBroken, match=rf"benign/benign \(2\).png in .*({reasons})"):
        bus.encode(bus.manifest())


def test_an_image_too_small_to_publish_is_named(tmp_path):
    pbc = source("pbc", tmp_path)
    path = pbc.manifest()["path"].iloc[0]
    Image.new("RGB", (200, 210)).save(tmp_path / "PBC_dataset_normal_DIB" / path)

    with pytest.raises(SourceBroken, match=r"rendered to 200x200, not 224x224"):
        pbc.encode(pbc.manifest())


def bus_rows(**columns):
    rows = {"original_filepath": ["a", "b"], "original_split": "train", "split": "train"}
    return pd.DataFrame(rows | {"case category": [0, 1], "malignancy": [0, 0]} | columns)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"malignancy": [0, 7]},
            r"7 is not a label of task 'malignancy', in row 1 \(b\). The labels are: no",
        ),
        ({"case category": ["normal", "sick"]}, "'sick' is not a label of task 'case category'"),
        ({"case category": [0, None]}, "is not a label of task 'case category'"),
        ({"split": ["train", "dev"]}, "rows of split dev; the splits are train, validation, test"),
        ({"original_filepath": ["a", "a"], "case category": [0, 0]}, r"1 row\(s\) occur twice: a"),
        ({"original_image_size": [[1, 2], "big"]}, "'big' in column 'original_image_size', row 1, is not list<int32>"),
    ],
)
def test_the_manifest_check_names_row_value_and_choices(columns, message):
    with pytest.raises(SourceBroken, match=message):
        canonical(bus_rows(**columns), DATASETS["bus"])


def test_ordinal_keys_become_contiguous_ids():
    card = DATASETS["dr_regular"]
    rows = {"original_filepath": ["a", "b"], "original_split": "train", "split": "train"}
    rows |= {task.name: [task.keys[0], float(task.keys[-1])] for task in card.tasks}

    manifest = canonical(pd.DataFrame(rows), card)

    assert manifest["artifact"].to_list() == [0, 5]
    assert manifest["clarity"].to_list() == [0, 4]


def test_sources_are_recognised_by_content(tmp_path):
    raw = write_miniature("bus", tmp_path / "raw")

    assert open_source("bus", raw).kind == "raw"
    assert open_source("bus", raw / "Dataset_BUSI.zip").kind == "raw"


@pytest.mark.parametrize("labels", ["released", "corrected"])
def test_bus_masks_are_the_first_or_the_union_of_all(labels, tmp_path):
    folder = write_miniature("bus", tmp_path, per_class=1, packed=False) / "Dataset_BUSI_with_GT" / "benign"
    first = np.zeros((300, 300), np.uint8)
    for number, name in enumerate(("benign (1)_mask.png", "benign (1)_mask_1.png", "benign (1)_mask_2.png")):
        mask = np.zeros_like(first)
        mask[100 * number : 100 * number + 50] = 255
        Image.fromarray(mask).convert("RGBA" if number else "1").save(folder / name)
    with Image.open(folder / "benign (1).png") as image:
        image.resize((300, 300)).save(folder / "benign (1).png")
    bus = source_again("bus", tmp_path, Options(partial=True, with_masks=True, labels=labels))

    mask = np.asarray(Image.open(io.BytesIO(bus.encode(bus.manifest()[:1])[0]["mask"])))

    bands = [mask[int(224 * (number + 0.25) / 3)].all() for number in range(3)]
    assert bands == [True, labels == "corrected", labels == "corrected"]
    assert not mask[int(224 * 0.25)].all()


def test_bus_masks_of_another_size_are_refused(tmp_path):
    folder = write_miniature("bus", tmp_path, per_class=1, packed=False) / "Dataset_BUSI_with_GT" / "benign"
    Image.new("L", (20, 20)).save(folder / "benign (1)_mask_1.png")
    bus = source_again("bus", tmp_path, Options(partial=True, with_masks=True, labels="corrected"))

    with pytest.raises(SourceBroken, match=r"benign \(1\)_mask_1.png"):
        bus.encode(bus.manifest()[:1])
