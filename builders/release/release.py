"""The published release as a source: annotations, splits and labels, checked against each other, and pixels.

Layout  <id>/annotations.csv, info.yaml, splits/<split>.txt, original_splits/<split>.txt, task_labels/<task>.npy,
        images.hdf5 or images/NNNNNN.tiff, masks/...; the folder, or its zip archive as downloaded
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...cards.facts import Task, split_name
from ...errors import SourceIncomplete, some
from ...files.stamp import stamp
from ..images import encode
from ..source import Source
from ..table.manifest import canonical
from ..table.membership import apply_membership
from .checks import check_info, check_labels, check_lists, check_rows, check_size
from .files import TABLE, ReleaseFiles, image_path, opened, release_root
from .text import READERS, flags, read_column, whole_number


@dataclass(frozen=True)
class ReleaseSource(Source):
    """A dataset read from its published release: its folder, the folder that holds it, or its zip archive."""

    kind = "release"

    @property
    def stamp(self) -> str:
        """Changes when a name, a size or a modification time in the release does."""
        return stamp(release_root(self.location, self.dataset))

    def manifest(self) -> pd.DataFrame:
        """One row per image in release order; `path` is the image's path in the release.

        Raises:
            SourceIncomplete: If rows or images are missing and `partial` is not set, or if there are none at all.
            SourceBroken: If two files of the release disagree, or one disagrees with the catalogue.
        """
        self._check_options()
        files = opened(self.location, self.dataset, anew=True)
        texts = self._table(files)
        check_rows(files, texts)
        if not self.options.partial:
            self._check_counts(files, texts)
        check_lists(files, texts, "split", "splits")
        check_lists(files, texts, "original_split", "original_splits")
        check_info(files, texts, self.card)
        rows = self._present(files, self._typed(files, texts))
        if self.options.labels == "corrected":
            rows = self.reader.corrected(rows)
        if self.options.splits_from is not None:
            rows["split"] = apply_membership(rows, self.card, Path(self.options.splits_from))
        # An image keeps its published number, even if others before it are missing.
        return canonical(rows, self.card).assign(index=rows["image number"].to_numpy(dtype=np.int32))

    def encode(self, rows: pd.DataFrame) -> list[dict[str, Any]]:
        """Read and encode the images, and masks, of some rows of the manifest.

        Raises:
            SourceBroken: Naming the first file that cannot be read as what it should be.
        """
        files = opened(self.location, self.dataset)
        images = files.images(rows["image number"].to_list(), self.card.mode)
        found: list[dict[str, Any]] = [{"image": encode(image)} for image in images]
        for mask in self.masks:
            for picture, path in zip(found, rows[_path_of(mask)], strict=True):
                picture[mask] = None if path is None else encode(files.tiff(path, "1"))
        return found

    @property
    def _again(self) -> str:
        return "Download the release again, or read the available rows with --partial (partial=True)."

    def _check_options(self) -> None:
        check_size(self.card, self.options.size)
        if self.options.labels == "corrected" and self.masks and any(c.task is None for c in self.card.corrections):
            raise SourceIncomplete(
                f"The release of {self.dataset} holds its masks as released, not corrected. Build from the source's "
                f"archives (where to get them: medimeta info {self.dataset}), or leave out masks or corrections."
            )

    def _table(self, files: ReleaseFiles) -> pd.DataFrame:
        """Read annotations.csv as text. Only empty fields are null: a remark may be "None"."""
        try:
            texts = pd.read_csv(io.BytesIO(files.read(TABLE)), dtype=str, keep_default_na=False, encoding="utf-8-sig")
        except ValueError as error:
            raise files.broken(TABLE, f"not a readable table ({error})") from error
        needed = ["filepath", "split", *(f"tasks/{task.name}" for task in self.card.tasks)]
        needed += ["original_filepath", "original_split", *(self.reader.released.masks[mask][1] for mask in self.masks)]
        if lacking := [name for name in needed if name not in texts]:
            raise files.broken(TABLE, f"there is no column {some(lacking)}; is it the release of {self.dataset}?")
        return texts

    def _check_counts(self, files: ReleaseFiles, texts: pd.DataFrame) -> None:
        found = texts["split"].map(split_name).value_counts().to_dict()
        if found == self.card.splits.counts:
            return
        counts = "; ".join(f"{split}: {found.get(split, 0):,} of {n:,}" for split, n in self.card.splits.counts.items())
        raise SourceIncomplete(
            f"{self.dataset} expects {self.card.total:,} images, {TABLE} in {files.root} lists {len(texts):,} "
            f"({counts}).\n{self._again}"
        )

    def _typed(self, files: ReleaseFiles, texts: pd.DataFrame) -> pd.DataFrame:
        """Convert labels, splits and annotations to values."""
        released = self.reader.released
        columns: dict[str, Any] = {
            "image number": range(len(texts)),
            "path": texts["filepath"],
            "original_filepath": texts["original_filepath"],
            "original_split": texts["original_split"],
            "split": texts["split"].map(split_name),
        }
        for task in self.card.tasks:
            columns[task.name] = self._labels(files, task, texts[f"tasks/{task.name}"])
        columns["subject_id"] = released.subjects(texts)
        for annotation in self.card.annotations:
            if (name := annotation.release_column) in texts:
                read = released.columns.get(annotation.column) or READERS[annotation.type]
                columns[annotation.column] = read_column(texts[name], read, name)
        for mask in self.masks:
            columns[_path_of(mask)] = self._mask_paths(files, texts, *released.masks[mask])
        return pd.DataFrame({name: pd.Series(list(values), dtype=object) for name, values in columns.items()})

    def _labels(self, files: ReleaseFiles, task: Task, texts: pd.Series) -> list[Any]:
        """Return published keys, or lists of the label ids present."""
        multilabel = task.kind == "multilabel"
        keys = read_column(texts, flags if multilabel else whole_number, str(texts.name))
        for row, key in enumerate(keys):
            if key is None or (multilabel and len(key) != len(task.labels)):
                raise files.broken(TABLE, f"row {row}, column {texts.name!r}: {texts.iloc[row]!r} is not a label")
        check_labels(files, task, np.array(keys))
        return [np.flatnonzero(key).tolist() for key in keys] if multilabel else keys

    def _mask_paths(self, files: ReleaseFiles, texts: pd.DataFrame, folder: str, column: str) -> list[str | None]:
        """Return the path of each row's mask, None if it has none."""
        for row, path in enumerate(texts[column]):
            if path not in ("", image_path(row, folder)):
                wrong = f"row {row}, column {column!r}: {path!r}, expected {image_path(row, folder)!r}"
                raise files.broken(TABLE, wrong)
        return [path or None for path in texts[column]]

    def _present(self, files: ReleaseFiles, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows whose images and masks are available."""
        lost = files.missing_images(len(rows), self.card.mode)
        for mask in self.masks:
            lost += files.absent(rows[_path_of(mask)].dropna().to_list())
        if lost and not self.options.partial:
            raise SourceIncomplete(
                f"{TABLE} in {files.root} lists {len(rows):,} images of {self.dataset}, but {len(lost):,} file(s) are "
                f"missing: {some(lost)}.\n{self._again}"
            )
        whole = ~rows[["path", *map(_path_of, self.masks)]].isin(lost).any(axis=1)
        if not whole.any():
            raise SourceIncomplete(f"There are no images of {self.dataset} in {files.root}. Download it again.")
        return rows[whole].reset_index(drop=True)


def _path_of(mask: str) -> str:
    return f"path of {mask}"
