"""The preview as files: one HTML page that needs nothing else, or a static Space around it."""

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


def render(datasets: Sequence[dict[str, Any]], title: str, version: str) -> str:
    """The page. Every text in it is escaped, and no other script than the page's own may run.

    Args:
        datasets: What `contents.contents` gives.
        title: Name of the folder.
        version: Version of this project.
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
        totals=" · ".join(f"{count:,} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items()),
        version=version,
        # Both are ours, and hold no closing tag.
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def write_page(html: str, path: Path) -> None:
    """Write the page as one file, which appears, or is replaced, only when it is whole."""
    with whole_file(path) as partial:
        partial.write_text(html, encoding="utf-8", newline="\n")


def write_space(html: str, folder: Path, title: str) -> None:
    """Write a folder that can be pushed as a static Space: `index.html` and a README.md that says so.

    Args:
        html: The page.
        folder: Where to; made if need be.
        title: Title of the Space.

    Raises:
        MedIMetaError: If the folder holds other things.
    """
    check_space(folder)
    front = {"title": title, "sdk": "static", "pinned": False, "license": "other", "tags": ["medical", "medimeta"]}
    readme = f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n\nA look at the datasets: images, labels and counts.\n"
    folder.mkdir(parents=True, exist_ok=True)
    write_page(readme, folder / "README.md")
    write_page(html, folder / "index.html")


def check_space(folder: Path) -> None:
    """Make sure that a Space can be written into a folder.

    Raises:
        MedIMetaError: If the folder holds other things.
    """
    if folder.exists() and not folder.is_dir():
        raise MedIMetaError(f"{folder} is a file. Give a folder for the Space with --space.")
    ours = {"index.html", "README.md"}
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")} if folder.exists() else set()
    if names - ours or ("README.md" in names) != ("index.html" in names):
        raise MedIMetaError(
            f"{folder} holds {some(sorted(names))}, which is no Space of a preview. Give an empty or a new folder with "
            "--space."
        )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
