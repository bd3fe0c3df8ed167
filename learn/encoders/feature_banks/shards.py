"""The shards of a feature bank: computed by any number of processes, then concatenated.

Every process goes through all shards and computes those that no other process is computing, so two processes, for
example of `accelerate launch` on two GPUs, take half the time. Shards have fixed rows, so the number of processes does
not change the features.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from ....errors import MedIMetaError
from ....files.atomic import whole_file
from .banks import UNREADABLE, Bank

SHARD = 1024  # images per shard; a killed process loses at most this much work


def complete(
    bank: Bank,
    make: Callable[[range], np.ndarray],
    kept: Callable[[int], object],
    ids: np.ndarray | None = None,
) -> np.ndarray:
    """Compute the missing shards of a bank, concatenate all shards, and return the features.

    Args:
        bank: The bank; its parent folder exists.
        make: Returns the features of some rows.
        kept: Called with the number of rows of each shard that was computed before or by another process.
        ids: Ids of the rows, for publishing.

    Returns:
        As `Bank.open`.

    Raises:
        MedIMetaError: If there is not enough space, or the bank is deleted in the meantime.
    """
    _check_space(bank)
    with bank.lock():
        if (finished := bank.open()) is not None:
            return finished
        bank.prepare(ids)
    rows, width = bank.shape
    parts = {start: range(start, min(start + SHARD, rows)) for start in range(0, rows, SHARD)}
    for timeout in (0, -1):  # first the shards that nobody computes, then those whose process may have been killed
        for start, part in list(parts.items()):
            place = _place(bank, start)
            try:
                with FileLock(bank.path / f".{place.name}.lock", timeout, mode=0o666):
                    # In this order: if the shard is gone because the bank was finished, the second condition holds.
                    if _holds(place, (len(part), width)) or bank.features.is_file():
                        kept(len(part))
                    else:
                        with whole_file(place) as partial, partial.open("wb") as file:
                            np.save(file, np.ascontiguousarray(make(part), np.float32), allow_pickle=False)
            except Timeout:
                continue
            del parts[start]
    return _put_together(bank)


def _put_together(bank: Bank) -> np.ndarray:
    with bank.lock():
        if (finished := bank.open()) is not None:
            return finished
        places = [_place(bank, start) for start in range(0, bank.shape[0], SHARD)]
        try:
            bank.check()
            with whole_file(bank.features) as partial, partial.open("wb") as file:
                header: Any = {"descr": "<f4", "fortran_order": False, "shape": bank.shape}
                np.lib.format.write_array_header_1_0(file, header)
                for place in places:
                    file.write(np.load(place, allow_pickle=False).data)
        except FileNotFoundError as error:
            raise MedIMetaError(
                f"{bank.path} was deleted while it was computed ({error}). Rerun the command."
            ) from None
        for path in (*places, *bank.path.glob(".*.lock"), *bank.path.glob(".*.part")):  # the latter of killed processes
            with suppress(OSError):
                path.unlink()
        features = bank.open()
    if features is None:
        raise MedIMetaError(f"{bank.path} was deleted. Rerun the command.")
    return features


def _check_space(bank: Bank) -> None:
    rows, width = bank.shape
    needed, free = 2 * rows * width * 4, shutil.disk_usage(bank.path.parent).free
    if needed > free:
        raise MedIMetaError(
            f"Features of {rows:,} images take {needed / 1e9:.1f} GB while they are computed, but "
            f"{bank.path.parent} has only {free / 1e9:.1f} GB free. Delete what is no longer needed (medimeta "
            "cache --clean), or move the cache to another disk with HF_DATASETS_CACHE."
        )


def _place(bank: Bank, start: int) -> Path:
    return bank.path / f"{start:09}.npy"


def _holds(place: Path, shape: tuple[int, int]) -> bool:
    try:
        shard = np.load(place, mmap_mode="r", allow_pickle=False)
    except UNREADABLE:
        return False
    return bool(shard.shape == shape and shard.dtype == np.float32)
