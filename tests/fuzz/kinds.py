"""Kinds of input: valid files to start from, what is mutated in them, and what reads them.

`prepare` writes the valid files, `mutate` changes those of a copy, `read` returns comparable values by name, so that
they can be compared with those of the valid files.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fakes.release import write_release, zip_release
from medimeta.builders.hub.folder import HubSource
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.rows import features
from medimeta.builders.source import Options
from medimeta.cards.catalogue import DATASETS, Catalogue
from medimeta.errors import MedIMetaError
from medimeta.learn.leakage.audit import audit, find_sources
from medimeta.upload.folder.writing import build, write_card
from medimeta.upload.preview.contents import contents
from medimeta.upload.verify.findings import clean, summary
from medimeta.upload.verify.folder import verify_folder

from .archives import as_tar, as_zip
from .learning import (
    as_episodes,
    prepare_episodes,
    prepare_ledger,
    prepare_predictions,
    prepare_result,
    read_episodes,
    read_ledger,
    read_predictions,
    read_result,
)
from .media import as_dicom, as_hdf5, as_image, as_nifti, as_npy, picture
from .mutations import as_json, as_yaml, mutated, pick
from .tables import as_csv, as_parquet, as_xlsx

Mutate = Callable[[np.random.Generator, bytes], bytes]


@dataclass(frozen=True)
class Kind:
    """One kind of input.

    Attributes:
        prepare: Writes valid files into an empty folder.
        targets: Patterns of the files to mutate, and how; one file per case.
        read: Reads the folder: values by name.
        strict: Whether values of names that the valid files have must not change: their format has checksums.
    """

    prepare: Callable[[Path], object]
    targets: Mapping[str, Mutate]
    read: Callable[[Path], Mapping[str, Any]]
    strict: bool = False

    def mutate(self, rng: np.random.Generator, folder: Path) -> None:
        """Change one file."""
        pattern = pick(rng, self.targets)
        path = pick(rng, sorted(folder.glob(pattern)))
        path.write_bytes(self.targets[pattern](rng, path.read_bytes()))


def miniature(dataset: str, *, packed: bool = False, keep: str = "", most: int = 2) -> Callable[[Path], object]:
    """A source's miniature, without most of the files that a pattern matches."""

    def prepare(folder: Path) -> None:
        write_miniature(dataset, folder, per_class=1, packed=packed)
        for path in sorted(folder.rglob(keep))[most:] if keep else ():
            path.unlink()

    return prepare


def source(dataset: str, *, labels: bool = False) -> Callable[[Path], Mapping[str, Any]]:
    """Read all rows of a source: the hash of the pixels by path, or also all other columns."""

    def read(folder: Path) -> Mapping[str, Any]:
        opened = open_source(dataset, folder, Options(partial=True, with_masks=bool(DATASETS[dataset].masks)))
        rows = opened.manifest()
        pixels = [hashed(row["image"]) for row in opened.encode(rows)]
        if not labels:
            return dict(zip(rows["original_filepath"], pixels, strict=True))
        texts = map(str, rows.astype(object).to_dict("records"))
        return dict(zip(rows["original_filepath"], zip(pixels, texts, strict=True), strict=True))

    return read


def hashed(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def prepare_hub(folder: Path) -> None:
    raw = write_miniature("bus", folder.parent / "raw-bus", per_class=2)
    build(open_source("bus", raw, Options(partial=True)), folder, version="0")
    shutil.rmtree(raw)


def read_hub(folder: Path) -> Mapping[str, Any]:
    """Rows as `load_dataset` sees them, then the other commands; verify decides last."""
    rows = source_of_hub(folder)
    json.dumps(contents(folder))
    audit(find_sources([str(folder)]))
    findings = verify_folder(folder)
    write_card(folder, "0")
    if not clean(findings):
        raise MedIMetaError(summary(findings))
    return rows


def source_of_hub(folder: Path) -> Mapping[str, Any]:
    opened = HubSource("bus", folder, Options())
    rows = opened.manifest()
    kept = map(str, rows.drop(columns=["shard", "shard_row"]).to_dict("records"))
    pixels = (hashed(row["image"]) for row in opened.encode(rows))
    return dict(zip(rows["index"].astype(str), zip(kept, pixels, strict=True), strict=True))


def prepare_release(folder: Path, *, packed: bool = False, tiff: bool = True) -> None:
    raw = write_miniature("bus", folder.parent / "raw-release", per_class=1)
    home = write_release(open_source("bus", raw, Options(partial=True, with_masks=True)), folder, tiff=tiff)
    shutil.rmtree(raw)
    if packed:
        zip_release(home, folder / "bus.zip")
        shutil.rmtree(home)


def read_release_zip(folder: Path) -> Mapping[str, Any]:
    return source("bus")(folder / "bus.zip")


def prepare_cards(folder: Path) -> None:
    shutil.copy(DATASETS.path("pbc"), folder / "pbc.yaml")
    shutil.copy(DATASETS.path("cxr"), folder / "cxr.yaml")


def read_cards(folder: Path) -> Mapping[str, Any]:
    catalogue = Catalogue(folder)
    for card in catalogue.values():
        features(card, Options(with_masks=True))
    catalogue._repr_html_()
    return {name: repr(card) for name, card in catalogue.items()}


def prepare_membership(folder: Path) -> None:
    write_miniature("bus", folder / "source", per_class=2)
    rows = open_source("bus", folder / "source", Options(partial=True)).manifest()
    rows[["original_filepath", "split"]].replace("validation", "val").to_csv(folder / "annotations.csv", index=False)


def read_membership(folder: Path) -> Mapping[str, Any]:
    options = Options(partial=True, splits_from=str(folder / "annotations.csv"))
    rows = open_source("bus", folder / "source", options).manifest()
    return dict(zip(rows["original_filepath"], rows["split"], strict=True))


def images(dataset: str, pattern: str, mutate: Mutate, *, strict: bool = False, most: int = 2) -> Kind:
    return Kind(miniature(dataset, keep=pattern, most=most), {f"**/{pattern}": mutate}, source(dataset), strict)


KINDS: dict[str, Kind] = {
    "zip": Kind(miniature("bus", packed=True), {"*.zip": as_zip}, source("bus"), strict=True),
    "tar": Kind(miniature("cxr"), {"**/*.tar.gz": as_tar}, source("cxr")),
    "gzip": Kind(miniature("cxr"), {"**/*.tar.gz": mutated}, source("cxr"), strict=True),
    "csv": Kind(miniature("mammo_mass"), {"**/mass*.csv": as_csv}, source("mammo_mass", labels=True)),
    "csv-derm7pt": Kind(
        miniature("skinl_derm", keep="*.jpg"), {"**/*.csv": as_csv}, source("skinl_derm", labels=True)
    ),
    "csv-cxr": Kind(miniature("cxr"), {"**/*.csv": as_csv}, source("cxr", labels=True)),
    "xlsx": Kind(
        miniature("dr_regular"), {"**/*.xlsx": as_xlsx, "**/*.csv": as_csv}, source("dr_regular", labels=True)
    ),
    "png": images("bus", "*.png", as_image("PNG"), most=9),
    "png-bytes": images("bus", "*.png", mutated, strict=True, most=9),
    "jpeg": images("pbc", "*.jpg", as_image("JPEG")),
    "tiff": images("crc", "*.tif", as_image("TIFF")),
    "bmp": images("pbc", "*.jpg", lambda rng, data: picture(rng, pick(rng, ("BMP", "GIF", "WEBP", "PPM", "TGA")))),
    "dicom": images("mammo_mass", "*.dcm", as_dicom, most=99),
    "nifti": Kind(miniature("organs_axial"), {"**/*.nii": as_nifti}, source("organs_axial")),
    "hub": Kind(
        prepare_hub,
        {
            "bus/*.parquet": as_parquet,
            "README.md": mutated,
            "records/bus/build.json": as_json,
            "croissant.json": as_json,
        },
        read_hub,
    ),
    "release": Kind(
        prepare_release,
        {"bus/annotations.csv": as_csv, "bus/info.yaml": as_yaml, "bus/task_labels/*.npy": as_npy,
         "bus/splits/*.txt": mutated},
        source("bus", labels=True),
    ),
    "release-zip": Kind(
        lambda folder: prepare_release(folder, packed=True), {"bus.zip": as_zip}, read_release_zip, strict=True
    ),
    "hdf5": Kind(lambda folder: prepare_release(folder, tiff=False), {"bus/images.hdf5": as_hdf5}, source("bus")),
    "membership": Kind(prepare_membership, {"annotations.csv": as_csv}, read_membership),
    "cards": Kind(prepare_cards, {"*.yaml": as_yaml}, read_cards),
    "result": Kind(prepare_result, {"**/result.json": as_json}, read_result),
    "predictions": Kind(
        prepare_predictions,
        {"p.csv": as_csv, "p.tsv": lambda rng, data: as_csv(rng, data, "\t"), "p.parquet": as_parquet,
         "p.xlsx": as_xlsx},
        read_predictions,
    ),
    "episodes": Kind(prepare_episodes, {"set.parquet": as_episodes}, read_episodes),
    "ledger": Kind(prepare_ledger, {"ledger.parquet": as_parquet}, read_ledger),
}  # fmt: skip
