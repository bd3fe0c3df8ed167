"""Command `corruptions`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..shared.console import print_hint, print_json, print_table, print_text
from ..shared.options import AsJson, From, Id, Partial, Release, Split, writes


def corruptions(
    dataset: Id,
    path: Annotated[
        Path | None,
        typer.Option(
            "--show",
            metavar="FILE",
            help="PNG file to draw an image to, with every corruption.",
            callback=writes("PNG"),
        ),
    ] = None,
    row: Annotated[int, typer.Option(min=0, help="Row of the split whose image is drawn.")] = 0,
    split: Split = "test",
    data_dir: From = None,
    release: Release = False,
    partial: Partial = False,
    as_json: AsJson = False,
) -> None:
    """List the corruptions that suit a dataset, or draw them.

    Use them with medimeta.load_task(..., corruption=NAME, severity=1 to 5). The meaning of the parameters is described
    in docs/corruptions.md.
    """
    from ...learn.data.corruptions.page import shown
    from ...learn.data.corruptions.registry import SEVERITIES
    from ...learn.data.corruptions.registry import corruptions as find

    lists = find(dataset)
    if path is not None:
        index = _draw(dataset, path, row=row, split=split, data_dir=data_dir, release=release, partial=partial)
        print_text(f"Wrote {path}: image {index} of {dataset} with {len(lists)} corruptions.")
    elif as_json:
        print_json(lists)
    else:
        rows = [[name, *map(shown, parameters)] for name, parameters in lists.items()]
        print_table(["corruption", *(f"severity {severity}" for severity in SEVERITIES)], rows)
        print_hint(f"See them: medimeta corruptions {dataset} --show page.png")


def _draw(
    dataset: str, path: Path, *, row: int, split: str, data_dir: Path | None, release: bool, partial: bool
) -> int:
    """Draw one image, and return its published number."""
    import numpy as np

    from ...builders.loading import load_dataset
    from ...cards.catalogue import DATASETS
    from ...cards.split_names import join_splits
    from ...errors import MedIMetaError
    from ...learn.data.corruptions.page import write_page
    from ..shared.sources import check_source

    check_source(DATASETS[dataset], data_dir, release=release, command="corruptions")
    rows = load_dataset(dataset, split=join_splits(split), data_dir=data_dir, partial=partial)
    if row >= len(rows):
        raise MedIMetaError(f"--row is {row}, but the split {split} of {dataset} has {len(rows):,} rows.")
    image, index = rows[row]["image"], rows[row]["index"]
    write_page(np.asarray(image).reshape(image.height, image.width, -1), dataset, path, index)
    return int(index)
