"""The state of a training run, on disk after every epoch, so that an interrupted run continues where it stopped.

Layout  <folder>/state/          of a run that is not finished; replaced as a whole after each epoch
            progress.json        settings, history, the best epochs
            best-auroc/          the model of the epoch with the best validation AUROC
            best-loss/           the model of the epoch with the lowest validation loss
            model.safetensors, optimizer.bin, ...    what Accelerate saves
        <folder>/model/          best-auroc once the run is finished
        <folder>/model-by-loss/  best-loss
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from ...files.atomic import mirror, recover, replace_folder
from . import resume as resuming

FINAL = {"auroc": "model", "loss": "model-by-loss"}  # criteria for the best epoch, and the folder of its model


def merit(metrics: Mapping[str, float]) -> dict[str, tuple[float, ...]]:
    """Return the criteria for the best epoch: AUROC, with ties (common on small splits) broken by loss; and loss."""
    loss = metrics["cross_entropy"]
    return {"auroc": (metrics["auroc"], -loss), "loss": (-loss,)}


def out_of_patience(history: Sequence[Mapping[str, Any]], patience: int) -> bool:
    """Return whether the last `patience` epochs had no strictly better AUROC, as published.

    A lower loss at an equal AUROC can make an epoch the best one, but does not prolong a run.
    """
    aurocs = [entry["validation_auroc"] for entry in history]
    return bool(aurocs) and len(aurocs) - 1 - aurocs.index(max(aurocs)) >= patience


class Progress:
    """The epochs of a run, with early stopping; every process has an instance, and all make the same decisions.

        progress = Progress(accelerator, folder, settings, patience=10, resume=args.resume)
        for epoch in progress.epochs(100):
            ...  # train, evaluate
            progress.end_epoch({"train_loss": loss}, metrics, lambda folder: model.save_pretrained(folder))
        progress.finish()

    Create it after model and optimizer are prepared: the state that it resumes is loaded into them.

    Args:
        accelerator: The accelerator, which saves and loads the state of model and optimizer.
        folder: Output folder of the run; created if needed.
        settings: Everything that decides what the run does, ready for JSON.
        patience: Stop after this many epochs without a better validation AUROC.
        resume: Continue an interrupted run; otherwise its state is deleted.

    Attributes:
        history: An entry per epoch, as given to `end_epoch`, with `epoch`, `validation_auroc` and `validation_loss`.
        best: By "auroc" and "loss": the `epoch` and its validation `metrics`.

    Raises:
        OtherSettings: If the interrupted run had other settings.
    """

    def __init__(
        self, accelerator: Accelerator, folder: Path, settings: Mapping[str, Any], *, patience: int, resume: bool
    ) -> None:
        self._accelerator, self._folder, self._patience = accelerator, folder, patience
        self._settings = dict(settings) | {"processes": accelerator.num_processes}
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, dict[str, Any]] = {}
        if accelerator.is_main_process:
            folder.mkdir(parents=True, exist_ok=True)
            recover(self._fresh, self.state)
            if not resume:
                shutil.rmtree(self.state, ignore_errors=True)
        accelerator.wait_for_everyone()
        if (before := resuming.noted(self.state / "progress.json")) is not None:
            resuming.check(before["settings"], self._settings, self.state)
            self.history, self.best = before["history"], before["best"]
            accelerator.load_state(str(self.state))
            accelerator.print(f"Resuming after epoch {len(self.history)}.")

    @property
    def state(self) -> Path:
        """The folder of the state."""
        return self._folder / "state"

    @property
    def _fresh(self) -> Path:
        return self._folder / ".state.part"

    def epochs(self, most: int) -> Iterator[int]:
        """Yield the numbers of the remaining epochs, from 1, until patience runs out."""
        while len(self.history) < most and not out_of_patience(self.history, self._patience):
            yield len(self.history) + 1

    def end_epoch(self, entry: Mapping[str, Any], metrics: Mapping[str, float], save: Callable[[Path], None]) -> None:
        """Record an epoch and write the state to disk in one step.

        Args:
            entry: Entry for the history, ready for JSON.
            metrics: Metrics of validation, the same in every process; `auroc` and `cross_entropy` are compared.
            save: Function that writes the model into an existing folder; called in the main process if the epoch is the
                best so far.
        """
        epoch = len(self.history) + 1
        validation = {"validation_auroc": metrics["auroc"], "validation_loss": metrics["cross_entropy"]}
        self.history.append({"epoch": epoch} | dict(entry) | validation)
        better = {
            by: not self.best or value > merit(self.best[by]["metrics"])[by] for by, value in merit(metrics).items()
        }
        self.best |= {by: {"epoch": epoch, "metrics": dict(metrics)} for by, holds in better.items() if holds}
        if self._accelerator.is_main_process:
            self._fresh.mkdir()
        self._accelerator.wait_for_everyone()
        self._accelerator.save_state(str(self._fresh))
        self._accelerator.wait_for_everyone()
        if self._accelerator.is_main_process:
            for by, holds in better.items():
                if holds:
                    (self._fresh / f"best-{by}").mkdir()
                    save(self._fresh / f"best-{by}")
                else:
                    mirror(self.state / f"best-{by}", self._fresh / f"best-{by}", frozenset())
            progress = {"settings": self._settings, "history": self.history, "best": self.best}
            resuming.note(self._fresh / "progress.json", progress)
            _flush(self._fresh)
            replace_folder(self._fresh, self.state)
        self._accelerator.wait_for_everyone()

    def models(self) -> dict[str, Path]:
        """Return the folders of the best models, by "auroc" and "loss"."""
        return {by: self.state / f"best-{by}" for by in FINAL}

    def finish(self) -> None:
        """Move the best models to their final folders and delete the state; call this last."""
        self._accelerator.wait_for_everyone()
        if self._accelerator.is_main_process:
            for by, name in FINAL.items():
                fresh = self._folder / f".{name}.part"
                recover(fresh, self._folder / name)
                mirror(self.state / f"best-{by}", fresh, frozenset())
                replace_folder(fresh, self._folder / name)
            shutil.rmtree(self.state)
        self._accelerator.wait_for_everyone()


def _flush(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
