"""Run a benchmark: evaluate each encoder on each task, and collect failures.

Several processes may run the same plan into the same folder. Each evaluates cells that no other process is evaluating,
and at the end all of them have all results.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from ...cards.catalogue import DATASETS
from ...cards.facts import Task
from ...errors import MedIMetaError
from ...files.json_values import canonical
from ..encoders.encoder import Encoder
from ..encoders.feature_banks.banks import banks
from ..encoders.loading import encoder as as_encoder
from ..evaluation.results import FILE, Result
from . import tiny
from .benchmark import Failure
from .cells import Cell, cells_of
from .cost import Cost
from .data import Encoded
from .plan import TINY_ENCODER, Plan
from .protocols.zero_shot import takes_text
from .shortcuts import SHORTCUTS, Shortcut, ShortcutEncoded

FAILURES = (MedIMetaError, RuntimeError, OSError)  # of data, encoders and torch: the other tasks still run
SMALL = (
    1 << 24
)  # features of a dataset; for fewer, one thread is faster, and results do not depend on the number of threads
LOCKS = ".locks"
Order = tuple[int, int, int, int]  # of encoder, dataset, task and cell

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A run of a benchmark.

    Attributes:
        plan: The plan of the benchmark.
        out: Folder of the results.
        say: Called with a line for each result.
        data_dir: Where the data are, as for `medimeta.load_dataset`, or a function that returns this for a dataset.
        options: Further arguments of `medimeta.load_dataset`.
        batch_size: Images per pass; None chooses a number that fits the device.
        dtype: Type for encoders given by name, as for `medimeta.encoder`.
        first: Number of the dataset to start with, so that processes do not wait for each other.
    """

    plan: Plan
    out: Path
    say: Callable[[str], object]
    data_dir: str | os.PathLike[str] | Callable[[str], Path] | None
    options: dict[str, Any]
    batch_size: int | None
    dtype: str
    first: int = 0
    _results: dict[Order, tuple[Path, Result]] = field(default_factory=dict)
    _failures: dict[Order, Failure] = field(default_factory=dict)
    _measured: set[str] = field(default_factory=set)

    @property
    def results(self) -> tuple[tuple[Path, Result], ...]:
        """Each result with its file, in the order of encoders and tasks."""
        return tuple(self._results[order] for order in sorted(self._results))

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Evaluations that failed, in the same order."""
        return tuple(self._failures[order] for order in sorted(self._failures))

    def encoder(self, number: int, model: str | Encoder) -> None:
        """Evaluate an encoder on all tasks.

        Args:
            number: Number of the encoder in the run, which orders the results.
            model: The encoder, or its name.
        """
        name = model if isinstance(model, str) else model.name
        try:
            encoder: Any = self._load(model)
        except FAILURES as error:
            self._failed((number, -1, -1, -1), name, "every task", error)
            return
        shortcut: bool = isinstance(encoder, Shortcut)
        if "zero-shot" in self.plan.protocols and not takes_text(encoder):
            self.say(f"{encoder.name} takes no text; zero-shot is left out.")
        taken: list[tuple[Order, Encoded, Task, Cell]] = []
        datasets = list(enumerate(self.plan.datasets.items()))
        for position, (dataset, tasks) in datasets[self.first :] + datasets[: self.first]:
            try:
                announce = self._announce(encoder)
                place = self.data_dir(dataset) if callable(self.data_dir) else self.data_dir
                if shortcut and not encoder.suits(dataset):
                    self.say(f"{encoder.name} is not known for {dataset} and is left out.")
                    continue
                kind: Any = ShortcutEncoded if shortcut else Encoded
                leaks = self.plan.exclude_leaks
                encoded = kind(encoder, dataset, place, self.batch_size, announce, leaks, **self.options)
            except FAILURES as error:
                self._failed((number, position, -1, -1), encoder.name, dataset, error)
                continue
            for column, task in enumerate(tasks):
                try:
                    cells = list(cells_of(self.plan, task, encoded))
                except FAILURES as error:
                    self._failed((number, position, column, -1), encoder.name, f"{dataset}/{task.column}", error)
                    continue
                for last, cell in enumerate(cells):
                    order = (number, position, column, last)
                    if not self._cell(order, encoded, task, cell, wait=False):
                        taken.append((order, encoded, task, cell))
        for order, encoded, task, cell in taken:
            self._cell(order, encoded, task, cell, wait=True)

    def _load(self, model: str | Encoder) -> Any:
        if model == TINY_ENCODER:
            return tiny.encoder()
        if isinstance(model, str) and model in SHORTCUTS:
            return Shortcut(model)
        return as_encoder(model, dtype=self.dtype)

    def _cell(self, order: Order, encoded: Encoded, task: Task, cell: Cell, *, wait: bool) -> bool:
        """Evaluate a cell; return False if another process is doing so and `wait` is False."""
        encoder, name = encoded.encoder, f"{task.dataset}/{task.column}, {cell.name}"
        folder = self.out / folder_of(encoder)
        path, state = folder / task.dataset / task.column / cell.folder / FILE, ", finished before"
        try:
            result = cell.finished(path)
            if result is None:
                with self._lock(path, wait=wait):
                    result = cell.finished(path)
                    if result is None:
                        with _threads(encoded):
                            result, state = cell.measure(settings=cell.settings), ""
                        result.save(path)
        except Timeout:
            return False
        except FAILURES as error:
            self._failed(order, encoder.name, name, error)
            return True
        self._results[order] = path, result
        main = next(iter(result.metrics))
        self.say(f"{encoder.name}, {name}: {main} {result.metrics[main]}{state}")
        return True

    def _lock(self, path: Path, *, wait: bool) -> FileLock:
        """Return the lock for writing a result."""
        name = hashlib.sha256(str(path.relative_to(self.out)).encode()).hexdigest()[:16]
        (self.out / LOCKS).mkdir(parents=True, exist_ok=True)
        return FileLock(self.out / LOCKS / f"{name}.lock", -1 if wait else 0, mode=0o666)

    def _announce(self, encoder: Encoder) -> Callable[[str], None]:
        """Return a function that reports how long encoding will take, before the first images are encoded."""

        def announce(dataset: str) -> None:
            left = [one for one in self.plan.datasets if not banks(encoder=encoder.name, dataset=one)]
            if dataset not in left or encoder.name in self._measured:
                return
            self._measured.add(encoder.name)
            cost = Cost.measure(encoder)
            cost.save(self.out / folder_of(encoder))
            partial = bool(self.options.get("partial"))  # then the card does not know
            self.say(cost.forecast(None if partial else sum(DATASETS[one].total for one in left)))

        return announce

    def _failed(self, order: Order, model: str, what: str, error: Exception) -> None:
        log.debug("%s, %s", model, what, exc_info=error)
        self._failures[order] = Failure(model, what, str(error).strip() or type(error).__name__)
        self.say(str(self._failures[order]))


def folder_of(encoder: Encoder) -> str:
    """Return the folder of an encoder's results: its name, and a hash that distinguishes encoders of equal name."""
    name = re.sub(r"[^\w.-]+", "-", encoder.name).strip("-.")[-60:] or "encoder"
    return f"{name}-{hashlib.sha256(canonical(encoder.identity())).hexdigest()[:8]}"


@contextmanager
def _threads(encoded: Encoded) -> Iterator[None]:
    """Encode with all threads, then solve small problems with one."""
    numbers = sum(part.numel() for part in encoded.features.values())
    before = torch.get_num_threads()
    torch.set_num_threads(1 if numbers < SMALL else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
