"""mammo_mass and mammo_calc: the published counts from the complete tables, names that need repair, and bad input."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fakes.golden import as_golden, golden_rows
from medimeta.builders.crops import cut, eight_bits, ratio_cut
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.phantoms.cbis_ddsm import MANIFEST, _dicom
from medimeta.builders.source import Options, RawSource
from medimeta.builders.sources import cbis_ddsm
from medimeta.cards.catalogue import DATASETS

PARTIAL = Options(partial=True)
CORRECTED = Options(labels="corrected")
BOTH = ("mammo_mass", "mammo_calc")


@pytest.mark.parametrize(
    ("box", "ratio", "size"),
    [
        (((2, 5), (3, 10)), 1, (8, 8)),
        (((2, 5), (3, 10)), 0.5, (15, 8)),
        (((2, 5), (3, 10)), 2, (5, 8)),
        (((0, 3), (0, 1)), 1, (4, 4)),
        (((0, 3), (0, 1)), 2, (4, 7)),
        (((15, 19), (18, 19)), 1, (5, 5)),
    ],
)
def test_ratio_cut(box, ratio, size):
    (low0, high0), (low1, high1) = ratio_cut(box, ratio)

    assert (high0 - low0 + 1, high1 - low1 + 1) == size
    assert (low0, high0) == box[0] or (low1, high1) == box[1]  # only one axis changes
    assert low0 <= box[0][0] <= box[0][1] <= high0
    assert low1 <= box[1][0] <= box[1][1] <= high1


def test_a_cut_is_zero_where_it_leaves_the_picture():
    picture = np.arange(1, 13, dtype=np.uint8).reshape(3, 4)

    assert cut(picture, ((1, 2), (1, 3))).tolist() == [[6, 7, 8], [10, 11, 12]]
    assert cut(picture, ((-1, 1), (2, 5))).tolist() == [[0, 0, 0, 0], [3, 4, 0, 0], [7, 8, 0, 0]]
    assert not cut(picture, ((-5, -2), (0, 3))).any()
    assert not cut(picture, ((3, 6), (4, 9))).any()


def test_eight_bits_truncates():
    assert eight_bits(np.array([0, 256, 257, 511, 65535], np.uint16)).tolist() == [0, 0, 1, 1, 255]
    assert eight_bits(np.array([0, 7, 255], np.uint8)).tolist() == [0, 7, 255]


@pytest.fixture(scope="module")
def complete(shared, tmp_path_factory):
    """The complete tables next to a zip of images of which only the order of sizes is right."""
    folder = tmp_path_factory.mktemp("cbis")
    tables = sorted((shared / "real" / "tables" / "cbis").glob("*.csv"))
    sizes: dict[str, int] = {}
    for path in tables:
        shutil.copy(path, folder)
        mask = 1 if path.name.startswith("calc") else 2  # the column that names it, in most rows
        for texts in pd.read_csv(path)[list(cbis_ddsm.FILES)].itertuples(index=False):
            names = [text.strip() for text in texts]
            together = names[1].rpartition("/")[0] == names[2].rpartition("/")[0]
            sizes[names[0]] = 3
            for column in (1, 2):
                sizes[names[column]] = 2 if names[column].endswith("1.dcm") or (not together and column == mask) else 1
    images = {size: _dicom(np.zeros((size, 8), np.uint8)) for size in (1, 2, 3)}
    with zipfile.ZipFile(folder / f"{MANIFEST}.zip", "w") as file:
        for name, size in sizes.items():
            series, _, number = name.rpartition("/")
            file.writestr(f"{MANIFEST}/CBIS-DDSM/{series}/1-{2 - int(number[:6])}.dcm", images[size])
    return folder


@pytest.fixture(scope="module")
def released(complete):
    return {dataset: RawSource(dataset, complete).manifest() for dataset in BOTH}


@pytest.mark.parametrize(
    ("dataset", "counts", "patients", "first"),
    [
        ("mammo_mass", (1126, 192, 378), (587, 104), ["P_01088", "P_01876", "P_00733"]),
        ("mammo_calc", (1332, 214, 326), (511, 91), ["P_00395", "P_01358", "P_02234"]),
    ],
)
@pytest.mark.slow
def test_complete_tables_give_the_published_splits(released, dataset, counts, patients, first):
    manifest = released[dataset]

    by_split = manifest.groupby("split")["subject_id"]
    assert (*(by_split.size()[split] for split in ("train", "validation", "test")),) == counts
    assert (by_split.nunique()["train"], by_split.nunique()["validation"]) == patients
    keys = manifest.loc[manifest["original_split"] == "train", "subject_id"].unique()
    assert keys[np.random.RandomState(42).permutation(len(keys))[:3]].tolist() == first
    assert set(first) <= set(by_split.unique()["train"])
    assert manifest["original_filepath"].str.endswith("/000000.dcm").all()
    assert not manifest["original_filepath"].str.contains("\n").any()


@pytest.mark.slow
def test_complete_tables_share_the_patients_that_the_cards_name(released):
    mass, calc = (released[dataset].groupby("split")["subject_id"].unique() for dataset in BOTH)

    assert len(set(np.concatenate(list(mass))) & set(np.concatenate(list(calc)))) == 79
    assert len(set(mass["train"]) & set(calc["test"])) == 12
    assert len(set(calc["train"]) & set(mass["test"])) == 17


@pytest.mark.parametrize(
    ("dataset", "blank"),
    [
        ("mammo_mass", {"mass_shape": 4, "mass_margins": 60}),
        ("mammo_calc", {"calc_type": 24, "calc_distribution": 439}),
    ],
)
@pytest.mark.slow
def test_corrected_labels_are_null_where_the_source_is_blank(complete, released, dataset, blank):
    released = released[dataset]
    corrected = RawSource(dataset, complete, CORRECTED).manifest()

    for column, rows in blank.items():
        assert released[column].notna().all()
        assert corrected[column].isna().sum() == rows == released[f"original_{column}"].isna().sum()
        assert all(labels == [] for labels in released.loc[corrected[column].isna(), column])
    pd.testing.assert_frame_equal(released.drop(columns=list(blank)), corrected.drop(columns=list(blank)))


@pytest.mark.slow
def test_corrected_lucent_center_is_not_set_by_centered(complete, released):
    labels = DATASETS["mammo_calc"].task("calc type").labels
    center, centered = labels.index("LUCENT_CENTER"), labels.index("LUCENT_CENTERED")
    released = released["mammo_calc"]["calc_type"]
    corrected = RawSource("mammo_calc", complete, CORRECTED).manifest()["calc_type"]

    assert sum(center in ids for ids in released) == 240
    assert sum(center in (ids or []) for ids in corrected) == 196
    changed = [(old, new) for old, new in zip(released, corrected, strict=True) if new is not None and old != new]
    assert len(changed) == 44
    assert all(centered in old and new == [i for i in old if i != center] for old, new in changed)


def test_a_release_is_corrected_as_far_as_it_can_tell():
    # As ReleaseSource reads it: ids, and no column with the source's text.
    rows = pd.DataFrame({"calc type": [[6, 7, 11], [6], [7], []], "calc distribution": [[], [0], [2], []]})

    corrected = cbis_ddsm.corrected(rows)

    assert corrected["calc type"].to_list() == [[7, 11], [6], [7], []]
    assert corrected["calc distribution"].to_list() == [[], [0], [2], []]
    assert rows["calc type"].to_list()[0] == [6, 7, 11]


def repair(folder: Path) -> None:
    """Rename as the published code did, in place."""
    for series in {path.parent for path in folder.rglob("*.dcm")}:
        for number, path in enumerate(sorted(series.iterdir(), key=lambda path: path.stat().st_size)):
            path.rename(series / f"{number:06d}.dcm")


def as_it_comes(sample: Path, target: Path) -> Path:
    return Path(shutil.copytree(sample, target))


def repaired(sample: Path, target: Path) -> Path:
    repair(shutil.copytree(sample, target))
    return target


def tables_beside(sample: Path, target: Path) -> Path:
    shutil.copytree(sample, target)
    for table in (target / MANIFEST).glob("*.csv"):
        table.rename(target / table.name)
    return target


def zipped(sample: Path, target: Path) -> Path:
    """The whole folder in one archive, tables and all."""
    target.mkdir()
    shutil.make_archive(str(target / MANIFEST), "zip", sample, MANIFEST)
    return target


def zipped_with_tables_beside(sample: Path, target: Path) -> Path:
    target.mkdir()
    shutil.make_archive(str(target / MANIFEST), "zip", sample, f"{MANIFEST}/CBIS-DDSM")
    for table in (sample / MANIFEST).glob("*.csv"):
        shutil.copy(table, target)
    return target


def the_archive_itself(sample: Path, target: Path) -> Path:
    return zipped(sample, target) / f"{MANIFEST}.zip"


@pytest.mark.parametrize("dataset", BOTH)
@pytest.mark.parametrize(
    "arrange", [as_it_comes, repaired, tables_beside, zipped, zipped_with_tables_beside, the_archive_itself]
)
def test_the_same_rows_however_the_source_lies_there(shared, tmp_path, dataset, arrange):
    location = arrange(shared / "real" / "synthetic" / "cbis", tmp_path / "raw")
    before = sorted(location.rglob("*"))
    source = RawSource(dataset, location, PARTIAL)

    manifest = source.manifest()
    rows = zip(manifest.to_dict("records"), source.encode(manifest), strict=True)

    found = [as_golden(source.card, row, row["split"], item["image"]) for row, item in rows]
    assert found == golden_rows(dataset)
    assert sorted(location.rglob("*")) == before  # nothing renamed, nothing unpacked


def test_the_mask_of_a_small_lesion_is_no_zip_bomb(tmp_path):
    mask = np.zeros((4800, 3000), np.uint8)
    mask[2400:2440, 1500:1540] = 255
    with zipfile.ZipFile(tmp_path / f"{MANIFEST}.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"{MANIFEST}/CBIS-DDSM/a/b/c/1-1.dcm", mask.tobytes())

    assert RawSource("mammo_mass", tmp_path).raw.size("CBIS-DDSM/a/b/c/1-1.dcm") == mask.nbytes


@pytest.mark.parametrize("dataset", BOTH)
def test_miniature(dataset, tmp_path):
    source = RawSource(dataset, write_miniature(dataset, tmp_path, per_class=4), PARTIAL)

    manifest = source.manifest()

    assert len(manifest) == 8
    assert set(manifest["split"]) == {"train", "validation", "test"}
    for task in source.card.tasks:
        assert set(manifest[task.column].explode().dropna()) == set(range(len(task.labels)))
    assert all(item["image"] for item in source.encode(manifest))
    assert manifest.groupby("subject_id")["split"].nunique().eq(1).all()
    assert manifest["breast_density"].eq(1).all()


def test_miniature_gives_the_same_bytes_again(tmp_path):
    first, again = (write_miniature("mammo_calc", tmp_path / name, per_class=2) for name in "ab")

    files = sorted(path.relative_to(first) for path in first.rglob("*.*m"))
    assert files
    assert all((first / path).read_bytes() == (again / path).read_bytes() for path in files)
