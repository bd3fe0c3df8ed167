"""Build hook: lay the checkout out as one package, `medimeta`.

A checkout keeps the face (`medimeta.py`) and the rooms (`builders/`, `cards/`, ...) at its top level. An installed
package has them under one name: `medimeta/__init__.py`, `medimeta/builders/`, ... A wheel holds copies. An editable
install holds links in `.editable/medimeta/`, and only `.editable` is on the path, so that editors, type checkers and
debuggers see an ordinary package and `import builders` fails.
"""

import os
import shutil
import subprocess
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOMS = ("builders", "cards", "cli", "files", "learn", "upload")
FILES = {
    "medimeta.py": "__init__.py",
    "errors.py": "errors.py",
    "cli/__main__.py": "__main__.py",
    "py.typed": "py.typed",
}
EDITABLE = Path(".editable/medimeta")


def link(target: Path, place: Path) -> str:
    """Make `place` show what `target` holds, in the first way that this system allows.

    Args:
        target: An existing file or folder.
        place: Where it should also appear; its parent exists, it does not.

    Returns:
        "link" (a relative symbolic link), "junction" (a folder on Windows without the right to make links), or "copy":
        a file system without links needs a new install after every change.
    """
    try:
        place.symlink_to(os.path.relpath(target, place.parent), target_is_directory=target.is_dir())
    except (OSError, NotImplementedError):  # NotImplementedError: a system without symbolic links
        if os.name == "nt" and target.is_dir():
            made = subprocess.run(["cmd", "/c", "mklink", "/J", str(place), str(target)], capture_output=True)
            if made.returncode == 0:
                return "junction"
        (shutil.copytree if target.is_dir() else shutil.copy2)(target, place)
        return "copy"
    return "link"


def lay_out(root: Path) -> dict[str, str]:
    """Make the editable layout in a checkout.

    Args:
        root: The checkout.

    Returns:
        How each entry of the package was made, by its name; see `link`.
    """
    package = root / EDITABLE
    if package.exists():
        for entry in package.iterdir():
            if entry.is_symlink() or entry.is_file():
                entry.unlink()
            elif getattr(os.path, "isjunction", lambda path: False)(entry):
                entry.rmdir()  # the junction, not what it points to
            else:
                shutil.rmtree(entry)
    package.mkdir(parents=True, exist_ok=True)
    entries = {room: room for room in ROOMS} | FILES
    return {name: link(root / source, package / name) for source, name in entries.items()}


class RoomsHook(BuildHookInterface):
    def initialize(self, version, build_data):
        if version == "editable":
            lay_out(Path(self.root))
            return
        build_data["force_include"] |= {room: f"medimeta/{room}" for room in ROOMS}
        build_data["force_include"] |= {source: f"medimeta/{name}" for source, name in FILES.items()}
