"""Runs of scripts that are remembered: one that is finished is not run again, one that was interrupted goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from accelerate import PartialState

from ...errors import MedIMetaError
from ...files.atomic import whole_file
from ...files.version import VERSION

DONE = "run.json"  # the last file of a run: what was run


@dataclass(frozen=True)
class Run:
    """A run of a script.

    Attributes:
        script: The module: its `parse` reads a command line, its `main` does what that says.
        options: What it is given, but for `--output-dir` and `--resume`.
        folder: Where it writes.
        before: The run whose output it starts from.
    """

    script: ModuleType
    options: Sequence[str]
    folder: Path
    before: Run | None = None

    @property
    def name(self) -> str:
        """The script's."""
        return self.script.__name__.rpartition(".")[2]

    @property
    def identity(self) -> dict[str, object]:
        """All that decides what comes out, ready for JSON."""
        before = None if self.before is None else self.before.identity
        return {"script": self.name, "options": list(self.options), "before": before, "medimeta": VERSION}

    def check(self) -> None:
        """Refuse at once what a script would refuse after hours of others.

        Raises:
            MedIMetaError: If a script does not take its options.
        """
        if self.before is not None:
            self.before.check()
        try:
            self.script.parse(self.options)
        except SystemExit:  # it has said why
            raise MedIMetaError(f"{self.name}.py cannot be run with: {' '.join(self.options)}") from None

    def execute(self, failed: dict[Path, str]) -> None:
        """Do what is not finished, the run before first; what an interrupted one has done is kept.

        Args:
            failed: Why runs failed, by their folders. They are not tried again, though others start from them.

        Raises:
            MedIMetaError: If the script, or that of the run before, fails.
        """
        if self.before is not None:
            self.before.execute(failed)
        if self.folder in failed:
            raise MedIMetaError(failed[self.folder])
        wanted, started, done = self.identity, self.folder / ".started.json", self.folder / DONE
        if _noted(done) == wanted:
            print(f"{self.folder} is finished.")  # noqa: T201
            return
        same = _noted(started) == wanted
        state = PartialState()
        if state.is_main_process:
            if not same and started.exists():  # of other options, whose results are not to be mixed with these
                shutil.rmtree(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            done.unlink(missing_ok=True)
            _note(started, wanted)
        state.wait_for_everyone()
        try:
            self.script.main([*self.options, "--output-dir", str(self.folder), *(["--resume"] if same else [])])
        except MedIMetaError as error:
            failed[self.folder] = f"{self.name}.py: {error}"
            raise MedIMetaError(failed[self.folder]) from error
        state.wait_for_everyone()
        if state.is_main_process:
            _note(done, wanted)
        state.wait_for_everyone()


def _noted(path: Path) -> object:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _note(path: Path, what: object) -> None:
    with whole_file(path) as partial:
        partial.write_text(json.dumps(what) + "\n", encoding="utf-8")
