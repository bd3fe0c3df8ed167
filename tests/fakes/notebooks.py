"""Runs a notebook as a user would, in a folder, with the package of this checkout.

python tests/fakes/notebooks.py FOLDER    # runs examples/tutorial.ipynb where demo/hub is, and keeps its outputs
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "examples" / "tutorial.ipynb"


def run_notebook(path: Path, folder: Path, *, timeout: int = 300) -> nbformat.NotebookNode:
    """Run all cells in a new kernel; return the notebook with its outputs.

    Args:
        path: The notebook.
        folder: The working folder.
        timeout: Seconds that one cell may take.
    """
    notebook = nbformat.read(path, as_version=4)
    environment = os.environ | {"PYTHONPATH": str(ROOT / ".editable")}
    where = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=timeout, kernel_name="python3", resources=where).execute(env=environment)
    for cell in notebook.cells:  # times and warnings of this machine
        cell.metadata.pop("execution", None)
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return notebook


if __name__ == "__main__":
    nbformat.write(run_notebook(TUTORIAL, Path(sys.argv[1])), TUTORIAL)
