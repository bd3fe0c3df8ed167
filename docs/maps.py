"""Write each room's map: the modules of a room with the first sentence of their docstrings.

python docs/maps.py          rewrites `<room>/README.md` below its mark; the text above it is written by hand
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("builders", "cards", "cli", "files", "learn", "upload")
MARK = "<!-- Below: written by docs/maps.py from the docstrings. -->\n"


def room_map(room: str) -> str:
    """The text of a room's README.md, with the map as it should be now."""
    text = (ROOT / room / "README.md").read_text(encoding="utf-8")
    head = text.partition(MARK)[0].rstrip()
    return "\n".join([head, "", MARK, *_folder(ROOT / room, ROOT / room)]).rstrip() + "\n"


def _folder(folder: Path, room: Path) -> Iterator[str]:
    """Lines about the modules of a folder, then about the folders in it, in sorted order."""
    for path in sorted(folder.glob("*.py")):
        if path.name != "__init__.py":
            yield f"* [`{path.name}`]({path.relative_to(room).as_posix()}) {_first_sentence(path)}"
    for inner in sorted(path.parent for path in folder.glob("*/__init__.py")):
        yield from ("", f"## `{inner.relative_to(room).as_posix()}/`", "", _first_sentence(inner / "__init__.py"), "")
        yield from _folder(inner, room)


def _first_sentence(path: Path) -> str:
    described = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if described is None:
        raise ValueError(f"{path} has no docstring.")
    return " ".join(described.partition("\n\n")[0].split())


if __name__ == "__main__":
    for name in ROOMS:
        (ROOT / name / "README.md").write_text(room_map(name), encoding="utf-8")
