"""Every source against every kind of folder that people have: equal rows, or an error that names the file.

python tests/builders/matrix.py [--markdown FILE] [dataset ...]      prints the table
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from fakes.habits import EQUAL, KINDS
from medimeta.builders.images import MASKS, read_image
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options
from medimeta.errors import MedIMetaError

DATASETS = (  # one of each source
    "aml", "bus", "crc", "cxr", "derm", "dr_regular", "fundus", "glaucoma", "mammo_mass", "oct", "organs_axial", "pbc",
    "skinl_derm",
)  # fmt: skip
PATHS = {"original_filepath", "path"}  # a suffix in another case may show in them
ROWS = 4  # rendered; the first ones, which the kinds change


def miniature(dataset: str, folder: Path) -> Path:
    """An unpacked miniature, the images of tar archives unpacked, too."""
    import tarfile

    write_miniature(dataset, folder, per_class=1, packed=False)
    for path in folder.rglob("*.tar.gz"):
        with tarfile.open(path) as tar:
            tar.extractall(path.parent.parent)
        path.unlink()
    return folder


def rows(dataset: str, folder: Path, *, paths: bool = True) -> str:
    """A hash of the manifest and of the first images."""
    source = open_source(dataset, folder, Options(partial=True, with_masks=True))
    manifest = source.manifest()
    first = manifest.sort_values("path", kind="stable")[:ROWS]
    digest = hashlib.sha256()
    for encoded in source.encode(first):
        for name in ("image", *source.masks):
            data = encoded[name]
            pixels = None if data is None else read_image(data, ("PNG", "WEBP"), modes=MASKS)
            digest.update(b"-" if pixels is None else np.asarray(pixels).tobytes())
    card = source.card
    known = {
        "index",
        "split",
        "original_split",
        "subject_id",
        *(item.column for item in (*card.tasks, *card.annotations)),
    }
    columns = [name for name in sorted((known | PATHS) & {*manifest}) if paths or "path" not in name]
    digest.update(manifest[columns].to_json().encode())
    return digest.hexdigest()


def outcome(dataset: str, kind: str, template: Path, work: Path) -> str:
    """What becomes of a kind: "equal", "refused <code>", "-" where it does not apply, or what is wrong."""
    folder = work / "folder"
    for path in work.iterdir():
        shutil.rmtree(path)
    shutil.copytree(template, folder)
    name = KINDS[kind](folder)
    if not name:
        return "-"
    exact = "case" not in kind
    try:
        found = rows(dataset, folder, paths=exact)
    except MedIMetaError as error:
        if name != "*" and name not in str(error):
            return f"WRONG: the error does not name {name}: {error}"
        return f"WRONG: refused: {error}" if kind in EQUAL else f"refused {error.code}"
    if found != rows(dataset, template, paths=exact):
        return "WRONG: other rows"
    return "equal"


def main(datasets: list[str], page: Path | None = None) -> int:
    """Print the table, and what is wrong below it; write it as Markdown, too."""
    wrong = []
    table: dict[str, list[str]] = {}
    widest = max(map(len, KINDS))
    print(f"{'':{widest}}  " + "  ".join(f"{dataset:>12}" for dataset in datasets))
    with tempfile.TemporaryDirectory() as home:
        for dataset in datasets:
            miniature(dataset, Path(home) / dataset)
        work = Path(home) / "work"
        work.mkdir()
        for kind in KINDS:
            cells = [outcome(dataset, kind, Path(home) / dataset, work) for dataset in datasets]
            table[kind] = cells
            wrong += [f"{d}, {kind}: {c}" for d, c in zip(datasets, cells, strict=True) if c.startswith("WRONG")]
            print(f"{kind:{widest}}  " + "  ".join(f"{c.removeprefix('refused ')[:12]:>12}" for c in cells), flush=True)
    print("\n".join(wrong))
    if page is not None:
        page.write_text(markdown(datasets, table), encoding="utf-8")
    return len(wrong)


def markdown(datasets: list[str], table: dict[str, list[str]]) -> str:
    """Return the table as a page: a sign per cell, and what the signs mean."""
    codes = sorted({cell.removeprefix("refused ") for cells in table.values() for cell in cells} - {"equal", "-"})
    signs = {"equal": "=", "-": "", **{code: str(number) for number, code in enumerate(codes, start=1)}}
    cells = [cell.removeprefix("refused ") for row in table.values() for cell in row]
    refused = sum(cell in codes for cell in cells)
    return "\n".join(
        [
            "# What becomes of files that people have",
            "",
            f"A source of each kind against {len(table)} kinds of folder that people have instead of the official "
            "archives.",
            f"Of {len(cells) - cells.count('-'):,} cases, {cells.count('equal'):,} give the same rows (=) and "
            f"{refused:,} are refused with an error that names the file; none gives other rows. "
            "An empty cell: does not apply.",
            "",
            "The numbers are codes of errors: " + ", ".join(f"{signs[code]} `{code}`" for code in codes) + ".",
            "",
            "Made by `python tests/builders/matrix.py --markdown docs/matrix.md`.",
            "",
            "| | " + " | ".join(datasets) + " |",
            "|---" * (len(datasets) + 1) + "|",
            *(
                f"| {kind} | " + " | ".join(signs[cell.removeprefix("refused ")] for cell in row) + " |"
                for kind, row in table.items()
            ),
            "",
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("datasets", nargs="*", metavar="dataset", default=list(DATASETS))
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table to a page")
    options = parser.parse_args()
    sys.exit(main(options.datasets, options.markdown))
