"""Command `new-dataset`."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from ..errors import MedIMetaError
from .shared.console import print_text

_TEMPLATES = Path(__file__).parent / "dataset_template"
_FILES = {  # template: path in the package, and what it is for
    "pyproject.toml.txt": ("pyproject.toml", "the entry point by which MedIMeta finds the package"),
    "__init__.py.txt": ("$package/__init__.py", ""),
    "card.yaml.txt": ("$package/$id.yaml", "the card: facts, tasks, splits, licence"),
    "source.py.txt": ("$package/$id.py", "the source module: reads the archives"),
    "phantom.py.txt": ("$package/${id}_phantom.py", "draws a small source to test with"),
    "test.py.txt": ("tests/test_$id.py", "builds the phantom"),
}


def new_dataset(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Id of the new dataset, e.g. nailfold.")],
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder to create; medimeta-NAME if not given.", show_default=False)
    ] = None,
) -> None:
    """Create a package for a dataset of your own.

    It works as written, on a drawn source. Install it, then change its card, source module and phantom step by step.
    """
    words = _words(name)
    folder = folder or Path(words["project"])
    write_package(folder, words)
    lines = [f"  {Template(path).substitute(words):42}{purpose}".rstrip() for path, purpose in _FILES.values()]
    print_text(
        "\n".join([f"Created {folder}:", *lines, f"Install it: pip install -e {folder}", f"Test it: pytest {folder}"])
    )


def write_package(folder: Path, words: dict[str, str]) -> None:
    """Write the files of the package.

    Args:
        folder: The folder to create.
        words: What replaces the names in the templates.

    Raises:
        MedIMetaError: If the folder exists.
    """
    if folder.exists():
        raise MedIMetaError(f"{folder} exists. Remove it, or name another folder with --out.", code="folder-exists")
    draft = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)  # left by an interrupted run
    for template, (path, _) in _FILES.items():
        target = draft / Template(path).substitute(words)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template((_TEMPLATES / template).read_text("utf-8")).substitute(words), encoding="utf-8")
    draft.rename(folder)


def _words(name: str) -> dict[str, str]:
    from ..cards.catalogue import DATASETS

    if re.fullmatch(r"[a-z][a-z0-9_]*", name) is None:
        close = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_0123456789")
        hint = f" Try: medimeta new-dataset {close}" if close else ""
        raise typer.BadParameter(
            f"{name!r} is not an id: lower-case letters, digits and underscores, a letter first.{hint}"
        )
    if name in DATASETS:
        raise MedIMetaError(
            f"There is a dataset {name!r} already ({DATASETS.path(name)}). Choose another id.", code="dataset-exists"
        )
    return {
        "id": name,
        "package": f"medimeta_{name}",
        "project": f"medimeta-{name.replace('_', '-')}",
        "title": name.replace("_", " ").capitalize(),
    }
