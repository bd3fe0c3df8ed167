"""organs_*: the complete annotation tables, slices, windows and masks, volumes in archives, and bad input."""

from __future__ import annotations

import hashlib
import io
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fakes.golden import as_golden, golden_folder, golden_rows
from fakes.images.volumes import BATCH_1, BATCH_2, TESTING, TRAINING, header, nifti, write
from medimeta.builders.crops import window
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options, RawSource
from medimeta.cards.facts import SPLITS
from medimeta.files.archives import ZipFiles

PARTIAL = Options(partial=True)
PLANES = ("organs_axial", "organs_coronal", "organs_sagittal")


def test_the_window():
    values = np.array([-2000, -150, -149, 49.9, 50, 249, 250, 3000])

    assert window(values, width=400, level=50).tolist() == [0, 0, 0, 127, 127, 254, 255, 255]


@pytest.fixture(scope="module")
def complete(shared, tmp_path_factory):
    """The annotators' two archives, and volumes that are all header (sparse files: they take no space)."""
    folder = tmp_path_factory.mktemp("lits")
    for archive in (shared / "real" / "tables" / "lits").glob("*.zip"):
        shutil.copy(archive, folder)
    shape = (512, 512, 1100)
    paths = [(f"{BATCH_1 if n < 28 else BATCH_2}/volume-{n}.nii", n in range(28, 48)) for n in range(131)]
    paths += [(f"LITS-Challenge-Test-Data/test-volume-{n}.nii", False) for n in range(70)]
    for path, lacks_spacing in paths:
        stored = (512, 1100, 512) if path.endswith("test-volume-59.nii") else shape
        zooms = (1, 1, 1) if lacks_spacing else (0.7, 0.7, 1.25)
        write(folder, {path: header(stored, zooms, np.uint8)})
        with (folder / path).open("r+b") as file:
            file.truncate(352 + 512 * 512 * 1100)
    return folder


def test_complete_tables_give_the_published_rows(complete):
    manifests = {dataset: RawSource(dataset, complete).manifest() for dataset in PLANES}
    axial = manifests["organs_axial"]

    assert len(axial) == 1645
    assert axial["original_split"].value_counts().to_dict() == {"train": 1027, "test": 618}
    assert axial.groupby("original_split")["subject_id"].nunique().to_dict() == {"train": 111, "test": 70}
    assert axial["original_mask_filepath"].isna().sum() == 618
    # The published 871 and 156 came of an unsorted listing; this is what the sorted one gives.
    assert axial["split"].value_counts().to_dict() == {"train": 869, "validation": 158, "test": 618}
    for other in manifests.values():
        pd.testing.assert_frame_equal(other, axial)  # one split, one order, for all planes


def test_order_is_by_split_and_volume_number(shared):
    manifest = RawSource("organs_axial", shared / "real" / "synthetic" / "lits_organs", PARTIAL).manifest()

    keys = [
        (SPLITS.index(split), int(name.rpartition("-")[2]))
        for split, name in zip(manifest["split"], manifest["subject_id"], strict=True)
    ]
    assert keys == sorted(keys)
    assert keys != sorted(keys, key=lambda key: (key[0], str(key[1])))  # not as text
    assert manifest["index"].to_list() == list(range(len(manifest)))


def test_an_order_from_the_release_follows_its_splits(shared, tmp_path):
    table = pd.read_csv(golden_folder("organs_axial") / "annotations.csv")
    swapped = table["split"].map({"train": "val", "val": "train", "test": "test"})
    table.assign(split=swapped).to_csv(tmp_path / "annotations.csv", index=False)
    options = Options(partial=True, splits_from=str(tmp_path / "annotations.csv"))

    manifest = RawSource("organs_coronal", shared / "real" / "synthetic" / "lits_organs", options).manifest()

    assert manifest["subject_id"].unique()[:3].tolist() == ["volume-30", "volume-130", "volume-0"]
    assert manifest["split"].value_counts().to_dict() == {"train": 8, "validation": 21, "test": 12}


def test_annotations_as_published(shared):
    expected = pd.read_csv(golden_folder("organs_sagittal") / "annotations.csv", keep_default_na=False)
    manifest = RawSource("organs_sagittal", shared / "real" / "synthetic" / "lits_organs", PARTIAL).manifest()

    assert [str(tuple(size)) for size in manifest["original_image_size"]] == expected["original_image_size"].to_list()
    assert [str(tuple(dims)) for dims in manifest["original_voxel_dims"]] == expected["original_voxel_dims"].to_list()
    assert manifest["original_mask_filepath"].fillna("").to_list() == expected["original_mask_filepath"].to_list()
    boxes = [str(((b[0], b[1]), (b[2], b[3]), (b[4], b[5]))) for b in manifest["original_bbox"]]
    assert boxes == expected["original_bbox"].to_list()


def pixels(item: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(item)))


@pytest.mark.parametrize("dataset", PLANES)
def test_released_masks_are_the_published_ones(shared, dataset):
    expected = pd.read_csv(golden_folder(dataset) / "masks.csv").set_index("index")["sha256"]
    options = Options(partial=True, with_masks=True)
    source = RawSource(dataset, shared / "real" / "synthetic" / "lits_organs", options)

    masks = [item["liver_mask"] for item in source.encode(source.manifest())]

    found = {
        index: hashlib.sha256(pixels(mask).astype(np.uint8).tobytes()).hexdigest()
        for index, mask in enumerate(masks)
        if mask is not None
    }
    assert found == expected.to_dict()


@pytest.mark.parametrize("dataset", PLANES)
def test_corrected_masks_lie_on_the_images(liver, dataset):
    agreement = {}
    for labels in ("released", "corrected"):
        source = RawSource(dataset, liver, Options(partial=True, with_masks=True, labels=labels))
        item = source.encode(source.manifest())[0]
        agreement[labels] = ((pixels(item["image"]) > 127) == pixels(item["liver_mask"])).mean()

    assert agreement["corrected"] > 0.96  # all but the outline, which one interpolates and the other does not
    assert agreement["released"] < 0.9


def found_in(source: RawSource) -> list[dict[str, str]]:
    manifest = source.manifest()
    rows = zip(manifest.to_dict("records"), source.encode(manifest), strict=True)
    return [as_golden(source.card, row, row["split"], item["image"]) for row, item in rows]


def test_archives_as_a_drive_hands_them_out(shared, tmp_path):
    sample = shared / "real" / "synthetic" / "lits_organs"
    for number, folder in enumerate((BATCH_1, BATCH_2), start=1):
        shutil.make_archive(str(tmp_path / f"LITS Challenge-20240131T101500Z-{number:03d}"), "zip", sample, folder)
    shutil.make_archive(str(tmp_path / "LITS-Challenge-Test-Data"), "zip", sample, "LITS-Challenge-Test-Data")
    for folder in (TRAINING, TESTING):  # the annotators' archives have no folder in them
        shutil.make_archive(str(tmp_path / Path(folder).name), "zip", sample / folder)

    assert found_in(RawSource("organs_coronal", tmp_path, PARTIAL)) == golden_rows("organs_coronal")


def test_boxes_packed_and_unpacked_count_once(shared, tmp_path):
    shutil.copytree(shared / "real" / "synthetic" / "lits_organs", tmp_path / "raw")
    shutil.make_archive(str(tmp_path / "raw" / "annotations_of_training_set"), "zip", tmp_path / "raw" / TRAINING)

    assert len(RawSource("organs_axial", tmp_path / "raw", PARTIAL).manifest()) == 41


def test_a_zipped_volume_is_unzipped_once(tmp_path, monkeypatch):
    read = ZipFiles.read
    whole = []

    def counted(self, name, limit=None):
        if limit is None:
            whole.append(name)
        return read(self, name, limit)

    folder = write_miniature("organs_axial", tmp_path, per_class=3)
    source = RawSource("organs_axial", folder, Options(partial=True, with_masks=True))
    manifest = source.manifest()
    monkeypatch.setattr(ZipFiles, "read", counted)

    source.encode(manifest)

    assert len(whole) == len(set(whole)) == 3 + 2  # volumes, and segmentations of two of them


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("dataset", PLANES)
def test_miniature(dataset, packed, tmp_path):
    source = RawSource(dataset, write_miniature(dataset, tmp_path, per_class=4, packed=packed), PARTIAL)

    manifest = source.manifest()

    assert manifest["organ_label"].value_counts().to_dict() == dict.fromkeys(range(11), 4)
    assert set(manifest["split"]) == set(SPLITS)
    assert "volume-47" not in set(manifest["subject_id"])  # has no voxel size
    images = [item["image"] for item in source.encode(manifest)]
    assert len(set(images)) == len(images) == 44
    assert all(pixels(image).std() > 20 for image in images)


def test_axes_of_the_swapped_volume_are_put_right(tmp_path):
    voxels = np.random.default_rng(0).integers(-150, 250, (30, 24, 16)).astype(np.int16)
    box = b"spleen 10 5 20 4 19 3 12\r\n"
    plain = {"LITS-Challenge-Test-Data/test-volume-1.nii": nifti(voxels, (0.8, 0.9, 3.0))}
    stored = {"LITS-Challenge-Test-Data/test-volume-59.nii": nifti(voxels.swapaxes(1, 2), (0.8, 3.0, 0.9))}
    texts = {f"{TESTING}/test-segmentation-{n}.txt": box for n in (1, 59)}
    write(tmp_path, plain | stored | texts)

    for dataset in PLANES:
        source = RawSource(dataset, tmp_path, PARTIAL)
        manifest = source.manifest()
        first, second = (item["image"] for item in source.encode(manifest))
        assert first == second
        assert manifest["original_image_size"].to_list() == [[30, 24, 16]] * 2
