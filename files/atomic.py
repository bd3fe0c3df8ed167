"""Whole or not at all: files and folders that appear under their name only when they are complete."""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # Linux renameat2; RENAME_SWAP of macOS's renamex_np has the same value


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to; the file gets its own name when it is complete and on the disk.

    Args:
        path: The final name; its folder is made if need be.

    Yields:
        A name in the same folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Unique among threads, and among containers that share a folder and count processes from 1.
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        yield partial
        _sync(partial)
        partial.replace(path)
        _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def mirror(source: Path, target: Path, leave_out: frozenset[str]) -> None:
    """Recreate a folder's tree with hard links to the same files: complete, and almost free.

    Args:
        source: The folder to mirror.
        target: Where to; must not exist.
        leave_out: Names directly in `source` that are not taken over.
    """
    target.mkdir(parents=True)
    for entry in sorted(source.iterdir()):
        if entry.name in leave_out:
            continue
        if entry.is_dir() and not entry.is_symlink():
            mirror(entry, target / entry.name, frozenset())
        else:
            link_or_copy(entry, target / entry.name)


def link_or_copy(source: Path, target: Path) -> None:
    """A second name for a file; a copy on file systems that have no hard links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def replace_folder(new: Path, current: Path) -> None:
    """Put a complete folder in the place of the current one in one step, then delete the old one.

    Linux and macOS exchange two folders atomically. Elsewhere two renames follow each other, and `recover` repairs
    what a kill between them leaves.

    Args:
        new: The complete folder, on the same file system.
        current: Its final name; may exist.
    """
    for folder in [Path(where) for where, _, _ in os.walk(new)]:
        _sync(folder)
    if not current.exists():
        new.rename(current)
    elif _exchange(new, current):
        shutil.rmtree(new)
    else:
        old = _old(new)
        current.rename(old)
        new.rename(current)
        shutil.rmtree(old)
    _sync(current.parent)


def recover(new: Path, current: Path) -> None:
    """Clear away what a killed `replace_folder` left behind; the current folder is whole afterwards."""
    old = _old(new)
    if old.exists() and not current.exists():
        old.rename(current)
    for rest in (old, new):
        shutil.rmtree(rest, ignore_errors=True)


def _old(new: Path) -> Path:
    return new.with_name(f"{new.name}.old")


def _exchange(first: Path, second: Path) -> bool:
    """Swap two names atomically; False where the system or the file system cannot."""
    if sys.platform == "win32":
        return False
    library = ctypes.CDLL(None, use_errno=True)
    paths = os.fsencode(first), os.fsencode(second)
    if hasattr(library, "renameat2"):
        failed = library.renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE)
    elif hasattr(library, "renamex_np"):
        failed = library.renamex_np(*paths, _RENAME_EXCHANGE)
    else:
        return False
    number = ctypes.get_errno()
    if failed and number not in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        raise OSError(number, os.strerror(number), str(second))
    return not failed


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError if path.is_dir() else ()):  # type: ignore[arg-type]  # some systems sync no folders
            os.fsync(handle)
    finally:
        os.close(handle)
