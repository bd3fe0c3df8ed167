"""Recorded runs of commands: a finished run is not repeated, an interrupted one continues."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from accelerate import PartialState

from ...errors import MedIMetaError
from ...files.version import VERSION
from ..training.resume import note, noted
from . import few_shot, options, pretrain_maml, pretrain_multitask, train

DONE, STARTED = "run.json", ".started.json"  # the last and the first file of a run, which hold its identity
RUN: dict[str, Callable[[argparse.Namespace], object]] = {
    "train": train.run,
    "few-shot": few_shot.run,
    "pretrain multitask": pretrain_multitask.run,
    "pretrain maml": pretrain_maml.run,
}


@dataclass(frozen=True)
class Job:
    """A run of a command.

    Attributes:
        command: One of `RUN`.
        options: Options of the command, without `--output-dir` and `--resume`.
        folder: Output folder.
        before: The job whose output this one starts from; None if it needs none.
    """

    command: str
    options: Sequence[str]
    folder: Path
    before: Job | None = None

    @property
    def identity(self) -> dict[str, object]:
        """Everything that influences the results, ready for JSON."""
        before = None if self.before is None else self.before.identity
        return {"command": self.command, "options": list(self.options), "before": before, "medimeta": VERSION}

    def check(self) -> None:
        """Check options now, rather than after hours of other jobs.

        Raises:
            MedIMetaError: If a command does not take its options.
        """
        if self.before is not None:
            self.before.check()
        try:
            options.parse(self.command, self.options)
        except SystemExit:  # the reason has been printed
            raise MedIMetaError(f"medimeta {self.command} does not take: {' '.join(self.options)}") from None

    def execute(self, failed: dict[Path, str]) -> None:
        """Run the job unless it is finished, after the job that it starts from; an interrupted run is continued.

        Args:
            failed: Messages of failed jobs, by folder. A failed job is not repeated, even if others start from it.

        Raises:
            MedIMetaError: If the command, or that of the job before, fails.
        """
        if self.before is not None:
            self.before.execute(failed)
        if self.folder in failed:
            raise MedIMetaError(failed[self.folder])
        if noted(self.folder / DONE) == self.identity:
            print(f"{self.folder} is finished.")
            return
        started = noted(self.folder / STARTED)
        resumes = started == self.identity
        state = PartialState()
        state.wait_for_everyone()  # all have read before any writes
        if state.is_main_process:
            if started is not None and not resumes:  # a run with other options, whose results must not be mixed in
                shutil.rmtree(self.folder)
            (self.folder / DONE).unlink(missing_ok=True)
            note(self.folder / STARTED, self.identity)
        state.wait_for_everyone()
        argv = [*self.options, "--output-dir", str(self.folder), *(["--resume"] if resumes else [])]
        try:
            RUN[self.command](options.parse(self.command, argv))
        except MedIMetaError as error:
            failed[self.folder] = f"medimeta {self.command}: {error}"
            raise MedIMetaError(failed[self.folder]) from error
        state.wait_for_everyone()
        if state.is_main_process:
            note(self.folder / DONE, self.identity)
        state.wait_for_everyone()
