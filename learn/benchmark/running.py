"""The run of a benchmark: encoders down, tasks across; what fails is kept for the end."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...cards.facts import Task
from ...errors import MedIMetaError
from ...files.json_values import canonical
from ..encoders.encoder import Encoder
from ..encoders.loading import encoder as as_encoder
from ..evaluation.results import FILE, Result
from .benchmark import Failure
from .cells import Cell, cells_of
from .data import Encoded
from .plan import Plan

FAILURES = (MedIMetaError, RuntimeError, OSError)  # of data, encoders and torch: the other tasks still run

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A run.

    Attributes:
        plan: What is evaluated of each encoder.
        out: Folder of the results.
        say: Called with a line for each result.
        data_dir: Where the data are, as for `medimeta.load_dataset`.
        options: Further arguments of `medimeta.load_dataset`.
        batch_size: Images per pass.
        dtype: Of encoders given by name.
        results: Each result with its file.
        failures: What could not be evaluated.
    """

    plan: Plan
    out: Path
    say: Callable[[str], object]
    data_dir: str | os.PathLike[str] | None
    options: dict[str, Any]
    batch_size: int
    dtype: str
    results: list[tuple[Path, Result]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def encoder(self, model: str | Encoder) -> None:
        """Evaluate an encoder on all tasks."""
        name = model if isinstance(model, str) else model.name
        try:
            encoder = as_encoder(model, dtype=self.dtype)
        except FAILURES as error:
            self._failed(name, "every task", error)
            return
        for dataset, tasks in self.plan.datasets.items():
            try:
                encoded = Encoded(encoder, dataset, self.data_dir, self.batch_size, **self.options)
            except FAILURES as error:
                self._failed(encoder.name, dataset, error)
                continue
            for task in tasks:
                self._task(encoded, task)

    def _task(self, encoded: Encoded, task: Task) -> None:
        name = f"{task.dataset}/{task.column}"
        try:
            cells = list(cells_of(self.plan, task, encoded))
        except FAILURES as error:
            self._failed(encoded.encoder.name, name, error)
            return
        for cell in cells:
            try:
                self._cell(encoded.encoder, task, cell)
            except FAILURES as error:
                self._failed(encoded.encoder.name, f"{name}, {cell.name}", error)

    def _cell(self, encoder: Encoder, task: Task, cell: Cell) -> None:
        path = self.out / folder_of(encoder) / task.dataset / task.column / cell.folder / FILE
        result, state = cell.finished(path), ", finished before"
        if result is None:
            result, state = cell.measure(settings=cell.settings), ""
            result.save(path)
        self.results.append((path, result))
        auroc = result.metrics["auroc"]
        self.say(f"{encoder.name}, {task.dataset}/{task.column}, {cell.name}: auroc {auroc}{state}")

    def _failed(self, model: str, what: str, error: Exception) -> None:
        log.debug("%s, %s", model, what, exc_info=error)
        self.failures.append(Failure(model, what, str(error).strip() or type(error).__name__))
        self.say(str(self.failures[-1]))


def folder_of(encoder: Encoder) -> str:
    """Return the folder of an encoder's results: its name, and a hash by which others of the same name differ."""
    name = re.sub(r"[^\w.-]+", "-", encoder.name).strip("-.")[-60:] or "encoder"
    return f"{name}-{hashlib.sha256(canonical(encoder.identity())).hexdigest()[:8]}"
