"""Commands `download`, `cache` and `env`: what this machine holds."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import unknown
from ..files.version import VERSION
from .shared import completion as complete
from .shared.console import is_terminal, print_facts, print_hint, print_json, print_styled, print_table, print_text
from .shared.options import AsJson, Ids

KINDS = ("rows", "pixels", "features", "download")
COMPUTED = ("pixels", "features")  # what `cache --clean` deletes by default
PACKAGES: tuple[str, ...] = ("datasets", "huggingface_hub", "pyarrow", "numpy", "pandas", "Pillow", "pydantic", "typer")
EXTRAS: tuple[str, ...] = (
    "torch",
    "transformers",
    "accelerate",
    "evaluate",
    "timm",
    "scipy",
    "matplotlib",
    "h5py",
    "nibabel",
)
EXTRAS += ("openpyxl", "pydicom", "distributed")
VARIABLES: tuple[str, ...] = (
    "MEDIMETA_DATA",
    "MEDIMETA_CARDS",
    "MEDIMETA_RELEASE_URL",
    "HF_HOME",
    "HF_DATASETS_CACHE",
    "HF_ENDPOINT",
)
VARIABLES += ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")


def download(
    ids: Ids,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how large the downloads are.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Download again what is in the cache.")] = False,
    as_json: AsJson = False,
) -> None:
    """Download published releases into the cache; the sizes are printed first.

    Afterwards the datasets load without a network. An interrupted download continues where it stopped.
    """
    import datasets.config

    from ..builders.release.download import cached_release, download_release, release_size
    from .shared.sources import chosen_ids

    cache = Path(datasets.config.DOWNLOADED_DATASETS_PATH)
    places = {name: cached_release(name, cache_dir=cache) for name in chosen_ids(ids)}
    kept = {name for name, path in places.items() if path.is_file() and not force}
    sizes = {name: path.stat().st_size if name in kept else release_size(name) for name, path in places.items()}
    if not as_json:
        rows = [[name, size_text(size), "in the cache" if name in kept else ""] for name, size in sizes.items()]
        print_table(["id", "size", ""], rows, right=(1,))
        new = [size for name, size in sizes.items() if name not in kept]
        unknown_too = "; the server does not tell every size" if None in new else ""
        print_text(f"To download: {size_text(sum(size or 0 for size in new))}{unknown_too}. Into: {cache}")
    for name, path in places.items() if not dry_run else ():
        download_release(name, cache_dir=cache, force=force)
        if not as_json:
            print_text(f'{path}: load it with medimeta.load_dataset("{name}")')
    if as_json:
        facts = [
            {"id": name, "bytes": sizes[name], "path": str(path), "downloaded": path.is_file()}
            for name, path in places.items()
        ]
        print_json(facts)


@dataclass(frozen=True)
class Entry:
    """One thing in the cache: its kind, name, path, size, time of last use, and how to delete it."""

    kind: str
    name: str
    path: Path
    bytes: int
    used: float
    delete: Callable[[], int]
    facts: dict[str, Any]


def cache(
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", help=f"Only this kind: {', '.join(KINDS)}; can be repeated.")
    ] = None,
    clean: Annotated[
        bool,
        typer.Option(
            "--clean",
            help="Delete decoded images and features, and leftovers of killed processes; with --kind, that kind.",
        ),
    ] = False,
    unused_days: Annotated[float, typer.Option(min=0, help="Only what was not used for this many days.")] = 0,
    encoder: Annotated[str | None, typer.Option(help="Only features of this encoder.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Only what belongs to this dataset.", autocompletion=complete.dataset)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show or delete what is in the cache, most recently used first.

    Rows are tables that load_dataset prepared; pixels are decoded images; features are those of encoders; downloads
    are published releases.
    """
    from ..learn.data import store

    for kind in kinds or ():
        if kind not in KINDS:
            raise unknown("kind of cache entry", kind, KINDS, hint="Give --kind one of them.")
    wanted = kinds or (("features",) if encoder is not None else COMPUTED if clean else KINDS)
    entries = [
        entry
        for entry in sorted(_entries(encoder), key=lambda entry: -entry.used)
        if entry.kind in wanted
        and dataset in (None, entry.name.partition(" ")[0])
        and (time.time() - entry.used) / 86400 >= unused_days
    ]
    if clean:
        freed = sum(entry.delete() for entry in entries)
        if dataset is None and "pixels" in wanted:
            freed += store.clean_cache(unused_days)  # leftovers
        if as_json:
            print_json({"freed_bytes": freed})
        else:
            print_text(f"Freed {size_text(freed)}.")
        return
    if as_json:
        print_json(
            [
                {"kind": one.kind, "name": one.name, "path": str(one.path), "bytes": one.bytes, **one.facts}
                | {"unused_days": round((time.time() - one.used) / 86400, 2)}
                for one in entries
            ]
        )
        return
    rows = [
        [one.kind, one.name, size_text(one.bytes), f"{datetime.fromtimestamp(one.used):%Y-%m-%d %H:%M}", str(one.path)]
        for one in entries
    ]
    print_table(["kind", "name", "size", "last used", "path"], rows, right=(2,))
    if is_terminal():
        print_text(f"{len(rows)} entries, {size_text(sum(one.bytes for one in entries))}, in {store.folder().parent}")
        print_hint("Delete decoded images and features: medimeta cache --clean; others: --clean --kind rows")


def _entries(encoder: str | None) -> Iterator[Entry]:
    import datasets.config

    from ..learn.data import store
    from ..learn.encoders.feature_banks import banks

    for one in store.cache_entries():
        yield Entry("pixels", one.name or "?", one.path, one.bytes, one.used, one.delete, {"images": one.images})
    for bank in banks.banks(encoder=encoder):
        facts = {name: bank.about[name] for name in ("encoder", "dataset", "split")}
        facts |= {"images": bank.shape[0], "features": bank.shape[1], "finished": bank.features.is_file()}
        name = f"{facts['dataset']} {facts['split']}, {facts['encoder']}{'' if facts['finished'] else ' (unfinished)'}"
        yield Entry("features", name, bank.path, bank.bytes, bank.used, bank.delete, facts)
    for folder in Path(datasets.config.HF_DATASETS_CACHE).glob("medimeta/*/*/*"):
        if folder.is_dir():
            dataset, version = folder.parents[1].name.partition("-")[0], folder.parent.name
            yield _of_path("rows", f"{dataset} {version}", folder)
    for path in Path(datasets.config.DOWNLOADED_DATASETS_PATH).glob("medimeta-releases/*/*.zip*"):
        if path.suffix in (".zip", ".part"):
            name = path.name.partition(".")[0]
            yield _of_path("download", name + (" (incomplete)" if path.suffix == ".part" else ""), path)


def _of_path(kind: str, name: str, path: Path) -> Entry:
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    states = [file.stat() for file in files] or [path.stat()]
    used = max(state.st_mtime for state in states)
    return Entry(kind, name, path, sum(state.st_size for state in states), used, lambda: _remove(path), {})


def _remove(path: Path) -> int:
    """Delete a file, with the note next to it, or a folder; return its size, or 0 if it may not be deleted."""
    try:
        size = _of_path("", "", path).bytes
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
            with suppress(FileNotFoundError):
                path.with_name(f"{path.name}.json").unlink()
    except (FileNotFoundError, PermissionError):
        return 0
    return size


def env(as_json: AsJson = False) -> None:
    """Show versions, paths, caches and devices, for bug reports."""
    facts = {
        "medimeta-hf": {"version": VERSION, "path": str(Path(__file__).parents[1])},
        "system": {"python": sys.version.split()[0], "executable": sys.executable, "platform": platform.platform()},
        "packages": {name: _version(name) for name in (*PACKAGES, *EXTRAS)},
        "caches": _caches(),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "devices": _devices(),
    }
    if as_json:
        print_json(facts)
        return
    for head, values in facts.items():
        print_styled(head, "bold")
        print_facts({name: value or "not installed" for name, value in values.items()})
        print_text("")


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _caches() -> dict[str, str]:
    import datasets.config

    caches = {}
    for name, place in (
        ("datasets", datasets.config.HF_DATASETS_CACHE),
        ("downloads", datasets.config.DOWNLOADED_DATASETS_PATH),
    ):
        folder = Path(place)
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        access = "" if os.access(there, os.W_OK) else ", not writable"
        caches[name] = f"{folder} ({size_text(shutil.disk_usage(there).free)} free{access})"
    return caches


def _devices() -> dict[str, str]:
    """Return what this machine computes on; devices other than the CPU are known only with torch."""
    devices = {"cpu": f"{os.cpu_count()} cores, {platform.machine()}"}
    if not _version("torch"):
        return devices | {"others": "unknown without torch"}
    import torch

    for number in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(number).total_memory
        devices[f"cuda:{number}"] = f"{torch.cuda.get_device_name(number)}, {size_text(memory)}"
    if torch.backends.mps.is_available():
        devices["mps"] = "available"
    return devices


def size_text(count: int | None) -> str:
    """Return a number of bytes in words, e.g. "63.1 MB"."""
    if count is None:
        return "unknown"
    for unit, power in (("GB", 9), ("MB", 6), ("kB", 3)):
        if count >= 10**power:
            return f"{count / 10**power:.1f} {unit}"
    return f"{count} B"
