"""Records of finished parts of a long evaluation, a line of JSON each, so that an interrupted run can continue."""

from __future__ import annotations

import json
import shutil
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...files.atomic import whole_file
from . import resume as resuming


class Records:
    """Records by key, on disk as soon as they are added; each process adds to its own file.

    Call `prepare` in one process first; all processes open the records before any adds one.

    Args:
        folder: Folder of the records.
        rank: Rank of this process.

    Attributes:
        known: All records read or added by this process, by key.
        added: Records added by this process.
    """

    def __init__(self, folder: Path, rank: int = 0) -> None:
        self.path = folder / f"{rank}.jsonl"
        self.known: dict[Hashable, Any] = {}
        self.added: list[tuple[Hashable, Any]] = []
        for path in sorted(folder.glob("*.jsonl")):
            for line in path.read_text(encoding="utf-8").split("\n")[
                :-1
            ]:  # a last line without an end was cut off by a kill
                key, value = json.loads(line)
                self.known[tuple(key)] = value

    @staticmethod
    def prepare(folder: Path, identity: Mapping[str, Any], *, resume: bool) -> None:
        """Prepare the folder: empty, or with the records of an earlier run of the same evaluation.

        Args:
            folder: Folder of the records; created if needed.
            identity: Everything that influences the records, ready for JSON.
            resume: Keep earlier records.

        Raises:
            OtherSettings: If the earlier records are of another evaluation.
        """
        about = folder / "about.json"
        if not resume:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        if (before := resuming.noted(about)) is None:
            resuming.note(about, identity)
        else:
            resuming.check(before, identity, folder)
        for path in folder.glob("*.jsonl"):  # a line that was cut off would spoil the next one
            whole = path.read_bytes().rpartition(b"\n")
            with whole_file(path) as partial:
                partial.write_bytes(whole[0] + whole[1])

    def add(self, records: Sequence[tuple[tuple[Any, ...], Any]]) -> None:
        """Add records in one write."""
        lines = "".join(json.dumps([key, value]) + "\n" for key, value in records)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(lines)
        self.known.update(records)
        self.added += records
