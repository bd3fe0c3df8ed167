"""MkDocs hook: pages that are elsewhere in the repository, and the two references.

A page of the repository appears once, where people look for it on a code host; the site takes it from there. Links
between pages are kept, and links to files that are not pages become plain text.
"""

from __future__ import annotations

import base64
import json
import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
ELSEWHERE = ("CHANGELOG.md", "CONTRIBUTING.md", "RELEASING.md", "benchmarks/README.md", "examples/README.md")
# What a page of the repository is called on the site, where the names differ.
ON_SITE = {"README.md": "index.md", "examples/tutorial.ipynb": "tutorial.md"}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages and pictures that are outside of docs/."""
    pictures = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "benchmarks").glob("*.png"))]
    for name in (*ELSEWHERE, *pictures):
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    files.append(File.generated(config, "cli.md", content=_command_line()))
    text, figures = _notebook(ROOT / "examples" / "tutorial.ipynb")
    files.append(File.generated(config, "tutorial.md", content=text))
    for name, data in figures.items():
        files.append(File.generated(config, name, content=data))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Resolve links as in the repository, and append the API reference to its page."""
    name = page.file.src_uri
    place = name if name in ELSEWHERE else f"docs/{name}"
    known = {file.src_uri for file in files}

    def resolved(match: re.Match[str]) -> str:
        picture, text, target, anchor = match.groups()
        if re.match(r"\w+:", target):
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(place), target))
        path = ON_SITE.get(path, path.removeprefix("docs/"))
        if path not in known:
            return text
        return f"{picture}[{text}]({posixpath.relpath(path, posixpath.dirname(name) or '.')}{anchor or ''})"

    markdown = LINK.sub(resolved, markdown)
    return f"{markdown}\n\n{_api()}" if name == "api.md" else markdown


def _notebook(path: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook with its outputs as Markdown, and its figures as files."""
    parts: list[str] = []
    figures: dict[str, bytes] = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if picture := data.get("image/png"):
                name = f"{path.stem}-{len(figures)}.png"
                figures[name] = base64.b64decode(picture)
                parts.append(f"![Output of the cell above]({name})")
            elif table := data.get("text/html"):
                parts.append("".join(table))
            else:
                text = "".join(output.get("text", "")) or "".join(data.get("text/plain", ""))
                parts.append(f"```text\n{text.rstrip()}\n```")
    return "\n\n".join(parts) + "\n", figures


def _api() -> str:
    """Directives that make mkdocstrings document every public name."""
    import medimeta

    lines = ["## Details", ""]
    for name in medimeta.__all__:
        home = medimeta._HOME[name]
        lines += [f"::: medimeta.{home}.{name}", ""]
    return "\n".join(lines)


def _command_line() -> str:
    """The help of every command, as Typer writes it."""
    from typer.cli import get_docs_for_click
    from typer.main import get_command

    from medimeta.cli.app import app

    os.environ.setdefault("COLUMNS", "100")
    command = get_command(app)
    import typer

    with typer.Context(command, info_name="medimeta") as context:
        return f"# The `medimeta` command\n\n{get_docs_for_click(obj=command, ctx=context, name='medimeta')}"
