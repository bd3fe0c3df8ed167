"""Finished pieces of a long evaluation, a line of JSON each, so that an interrupted run goes on where it stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import MedIMetaError
from ...files.atomic import whole_file
from ...files.json_values import canonical


class Records:
    """Records by key, on disk as soon as they are added; each process adds to a file of its own.

    All processes open them before any adds; make the folder ready (`prepare`) in one process first.

    Args:
        folder: Where they are kept.
        rank: Which process this is.

    Attributes:
        found: All records that this process knows of, by key.
        added: Those that it added itself.
    """

    def __init__(self, folder: Path, rank: int = 0) -> None:
        self.path = folder / f"{rank}.jsonl"
        self.found: dict[Hashable, Any] = {}
        self.added: list[tuple[Hashable, Any]] = []
        for path in sorted(folder.glob("*.jsonl")):
            for line in path.read_text(encoding="utf-8").split("\n")[:-1]:  # a last line without an end is a kill's
                key, value = json.loads(line)
                self.found[tuple(key)] = value

    @staticmethod
    def prepare(folder: Path, identity: Mapping[str, Any], *, resume: bool) -> None:
        """Make the folder ready: empty, or with what an earlier run of the same evaluation left.

        Args:
            folder: Where records are kept; created if need be.
            identity: All that decides what the records say.
            resume: Keep earlier records.

        Raises:
            MedIMetaError: If the earlier records are of another evaluation.
        """
        about = folder / "about.json"
        if not resume:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        if not about.exists():
            with whole_file(about) as partial:
                partial.write_bytes(canonical(identity))
        before, now = json.loads(about.read_bytes()), json.loads(canonical(identity))
        if different := sorted(key for key in {*before, *now} if before.get(key) != now.get(key)):
            raise MedIMetaError(
                f"{folder} holds the results of another evaluation: {', '.join(different)} differ. Resume with the "
                "same arguments, take another --output-dir, or leave out --resume to start again."
            )
        for path in folder.glob("*.jsonl"):  # what a kill left of a line would spoil the next one
            whole = path.read_bytes().rpartition(b"\n")
            with whole_file(path) as partial:
                partial.write_bytes(whole[0] + whole[1])

    def add(self, records: Sequence[tuple[tuple[Any, ...], Any]]) -> None:
        """Add records, all at once."""
        lines = "".join(json.dumps([key, value]) + "\n" for key, value in records)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(lines)
        self.found.update(records)
        self.added += records
