"""Check where a command is told to write before it computes anything: nothing that it did not write is replaced."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import MedIMetaError
from .atomic import check_writable, is_special

_END = 1 << 16  # bytes at either end of a file that are searched

# What files of each kind hold if this project wrote them. Text that people paste elsewhere has no mark of its own.
SIGNS = {
    "PNG": (b"Software\0medimeta",),
    "JSON": (b'"medimeta"',),
    "Parquet": (b"medimeta",),
    "HTML": (b"medimeta", b"MedIMeta"),
    "Markdown": (b"| method", b"| task", b"# MedIMeta benchmark"),
    "LaTeX": (b"% needs \\usepackage{booktabs}",),
    "CSV": (b"protocol,split,", b"protocol,metric,"),
}


def check_output(path: Path, kind: str) -> None:
    """Check that a file can be written, and that a file of that name is of this project and kind.

    Links are followed; devices, FIFOs and standard output can always be written to; an empty file is nobody's.

    Args:
        path: The file to write.
        kind: One of `SIGNS`.

    Raises:
        MedIMetaError: Naming the path and the reason.
    """
    if not path.name:
        raise MedIMetaError(f"{str(path)!r} is not the name of a file. Give one.", code="no-file-name")
    if is_special(path):
        return
    check_writable(path.parent)
    try:
        ours = not path.exists() or _signed(path, SIGNS[kind])
    except OSError as error:
        raise MedIMetaError(f"{path} cannot be written: {error.strerror}. Choose another name.") from error
    if not ours:
        raise MedIMetaError(
            f"{path} exists, and is not a {kind} file that medimeta wrote. Choose another name, or delete it.",
            code="not-ours",
        )


def check_folder(path: Path) -> None:
    """Check that files can be created in a folder, or that it can be created.

    Raises:
        MedIMetaError: Naming the folder and the reason.
    """
    if os.path.exists(path) and not os.path.isdir(path):  # noqa: PTH110, PTH112  no errors
        raise MedIMetaError(f"{path} is a file. Give the name of a folder.", code="not-a-folder")
    check_writable(path)


def _signed(path: Path, signs: tuple[bytes, ...]) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        ends = file.read(_END)
        file.seek(max(0, size - _END))
        ends += b"\n" + file.read(_END)
    return size == 0 or any(sign in ends for sign in signs)
