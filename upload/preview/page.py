"""Write the preview: one self-contained HTML page, or a static Space with it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ...errors import MedIMetaError, some
from ...files.atomic import whole_file

_HERE = Path(__file__).parent


def render(datasets: Sequence[dict[str, Any]], title: str, version: str, *, served: bool = False) -> str:
    """Return the page. All text is escaped, and only the page's own script may run.

    Args:
        datasets: Contents, as returned by `contents.contents`.
        title: Name of the folder.
        version: Version of this project.
        served: Whether a server answers for the rows that are not in the page; see `server`.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(loader=FileSystemLoader(_HERE), undefined=StrictUndefined, autoescape=True)
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}  # splits and columns have an order
    style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    counts = {
        "dataset": len(datasets),
        "task": sum(len(dataset["tasks"]) for dataset in datasets),
        "image": sum(dataset["images"] for dataset in datasets),
    }
    return environment.get_template("page.html.jinja").render(
        datasets=datasets,
        title=title,
        served=served,
        totals=" · ".join(f"{count:,} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items()),
        version=version,
        # Both are ours, and hold no closing tag.
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def write_page(html: str, path: Path) -> None:
    """Write the page as one file, atomically."""
    with whole_file(path) as partial:
        partial.write_text(html, encoding="utf-8", newline="\n")


def write_space(html: str, folder: Path, title: str) -> None:
    """Write a folder for a static Space: `index.html` and README.md.

    Args:
        html: The page.
        folder: The folder; created if need be.
        title: Title of the Space.

    Raises:
        MedIMetaError: If the folder holds other things.
    """
    check_space(folder)
    front = {"title": title, "sdk": "static", "pinned": False, "license": "other", "tags": ["medical", "medimeta"]}
    readme = f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n\nA preview of datasets: images, labels, counts.\n"
    folder.mkdir(parents=True, exist_ok=True)
    write_page(readme, folder / "README.md")
    write_page(html, folder / "index.html")


def check_space(folder: Path) -> None:
    """Check that a Space can be written into a folder.

    Raises:
        MedIMetaError: If the folder holds other things.
    """
    if folder.exists() and not folder.is_dir():
        raise MedIMetaError(f"{folder} is a file. Give a folder for the Space with --space.")
    ours = {"index.html", "README.md"}
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")} if folder.exists() else set()
    if names - ours or ("README.md" in names) != ("index.html" in names):
        raise MedIMetaError(
            f"{folder} holds {some(sorted(names))}, not a Space of a preview. Give an empty or a new folder with "
            "--space."
        )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
