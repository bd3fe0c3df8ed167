"""Files and folders that appear under their name only when they are complete, and stay what they were otherwise.

Links are followed. What cannot be replaced (a device, a FIFO, standard output) is written to. What is replaced keeps
its mode and its group. Temporary names are unique, so any number of writers may work on one name at a time.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from ..errors import MedIMetaError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # Linux renameat2; RENAME_SWAP of macOS's renamex_np has the same value
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)
PARTIAL = re.compile(r"\..+\.[0-9a-f]{12}\.part")  # what `partial_name` gives
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary name to write to, and give the file its own name once it is complete and on the disk.

    Args:
        path: The final name. Its folder is created if need be; a link is followed.

    Raises:
        MedIMetaError: If `path` is a folder.
        OSError: With this path, if a file cannot be created there.
    """
    target = Path(os.path.realpath(path))
    if (stream := _descriptor(path)) is not None or _is_special(target):
        with TemporaryDirectory() as folder:
            partial = Path(folder) / Path(path).name
            yield partial
            with naming_full_disk(Path(path)):
                _pour(partial, target if stream is None else stream)
        return
    partial = partial_name(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()
        partial.unlink()
    except OSError as error:  # named like the file, not like its temporary name
        raise type(error)(error.errno, error.strerror, str(path)) from error
    try:
        with naming_full_disk(target.parent):
            yield partial
            _sync(partial)
        resemble(partial, target)
        try:
            partial.replace(target)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            _pour(partial, target)  # a single file that is mounted, as containers do
        _sync(target.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to fill, and put it at its own name, in place of an older one, once it is complete.

    Args:
        path: The final name. Its parents are created if need be; a link is followed.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_name(target)
    partial.mkdir()
    try:
        with naming_full_disk(target.parent):
            yield partial
        replace_folder(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def naming_full_disk(folder: Path) -> Iterator[None]:
    """Add the folder to the error of a full disk, which names no file."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL and error.filename is None:
            raise OSError(error.errno, os.strerror(error.errno), str(folder)) from error
        raise


def partial_name(target: Path) -> Path:
    """Return a unique hidden name in the same folder, short enough for every file system."""
    return target.with_name(f".{target.name[:50]}.{secrets.token_hex(6)}.part")


def check_writable(folder: Path) -> None:
    """Check that files can be created in a folder, or that the folder can be created, without leaving anything there.

    Raises:
        MedIMetaError: Naming the folder and the reason.
    """
    place = Path(os.path.realpath(folder))
    place = next(parent for parent in (place, *place.parents) if os.path.exists(parent))  # noqa: PTH110  no errors
    try:
        TemporaryFile(dir=place).close()
    except OSError as error:
        raise MedIMetaError(
            f"{folder} cannot be written: {place}: {error.strerror}. Choose another folder, or change its permissions."
        ) from error


def mirror(source: Path, target: Path, leave_out: frozenset[str]) -> None:
    """Recreate a folder's tree with hard links to the same files: complete, and almost free.

    Args:
        source: The folder to mirror.
        target: Where to; must not exist.
        leave_out: Names directly in `source` that are left out.
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
    """Give a file a second name, or copy it on file systems without hard links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def resemble(new: Path, model: Path) -> None:
    """Give a file or folder the mode and the group of another one, as far as the system allows."""
    with suppress(FileNotFoundError):
        status = model.stat()
        with suppress(OSError, AttributeError):  # a group that the user is not in, or Windows
            os.chown(new, -1, status.st_gid)
        with suppress(OSError):
            new.chmod(stat.S_IMODE(status.st_mode))


def replace_folder(new: Path, current: Path) -> None:
    """Put a complete folder in place of the current one in one step, then delete the old one.

    Linux and macOS exchange two folders atomically. Elsewhere there are two renames; `recover` repairs what a kill
    between them leaves.

    Args:
        new: The complete folder, on the same file system.
        current: Its final name; may exist.
    """
    for where, _, _ in os.walk(new):
        _sync(Path(where))
    if not current.exists():
        new.rename(current)
    else:
        for path in (new, *new.rglob("*")):
            if not path.is_symlink():
                resemble(path, current / path.relative_to(new))
        if _exchange(new, current):
            shutil.rmtree(new)
        else:
            old = _old(new)
            current.rename(old)
            new.rename(current)
            shutil.rmtree(old)
    _sync(current.parent)


def recover(new: Path, current: Path) -> None:
    """Clear away what a killed `replace_folder` left behind; the current folder is complete afterwards."""
    old = _old(new)
    if old.exists() and not current.exists():
        old.rename(current)
    for rest in (old, new):
        shutil.rmtree(rest, ignore_errors=True)


def _old(new: Path) -> Path:
    return new.with_name(f"{new.name}.old")


def is_special(path: Path) -> bool:
    """Whether a path is, or links to, a device, a FIFO, a socket or an open file such as /dev/stdout.

    Raises:
        MedIMetaError: If it is a folder.
    """
    return _descriptor(path) is not None or _is_special(Path(os.path.realpath(path)))


def _is_special(target: Path) -> bool:
    """Whether a name is that of a device, a FIFO or a socket."""
    try:
        mode = target.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    if stat.S_ISDIR(mode):
        raise MedIMetaError(f"{target} is a folder. Give the name of a file.")
    return not stat.S_ISREG(mode)


def _descriptor(path: Path) -> int | None:
    """The number of the open file that a name such as /dev/stdout stands for; its own position is kept."""
    name = os.path.abspath(path)  # noqa: PTH100  keeps links, as `Path.absolute` does, but removes ".."
    for _ in range(40):
        folder, number = os.path.split(name)
        if number.isdecimal() and os.path.realpath(folder) in ("/dev/fd", f"/proc/{os.getpid()}/fd"):
            return int(number)
        if not os.path.islink(name):  # noqa: PTH114
            return None
        name = os.path.normpath(os.path.join(folder, os.readlink(name)))  # noqa: PTH115, PTH118
    return None


def _pour(source: Path, target: Path | int) -> None:
    """Write a file's content to what cannot be replaced."""
    if isinstance(target, int):
        sys.stdout.flush()
        handle = os.dup(target)
    else:
        handle = os.open(target, os.O_WRONLY | os.O_TRUNC)
    with source.open("rb") as content, os.fdopen(handle, "wb") as out:
        shutil.copyfileobj(content, out)


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two names atomically; return False where the system or the file system cannot."""
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
    if failed and number not in _NO_EXCHANGE:
        raise OSError(number, os.strerror(number), str(second))
    return not failed


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError if path.is_dir() else ()):  # type: ignore[arg-type]  # some systems sync no folders
            os.fsync(handle)
    finally:
        os.close(handle)
