"""Where a training run is, on disk after every epoch: it can be interrupted at any time and goes on where it was.

Layout  <folder>/state/          of a run that is not finished; replaced as a whole after each epoch
            progress.json        settings, history, the best epochs
            best-auroc/          the model of the epoch with the best validation AUROC
            best-loss/           that of the epoch with the lowest validation loss
            model.safetensors, optimizer.bin, ...    what Accelerate saves
        <folder>/model/          best-auroc once the run is finished
        <folder>/model-by-loss/  best-loss
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from ...errors import MedIMetaError
from ...files.atomic import mirror, recover, replace_folder, whole_file

FINAL = {"auroc": "model", "loss": "model-by-loss"}  # what an epoch can be best by, and where its model ends up


def merit(metrics: Mapping[str, float]) -> float:
    """What the best epoch is chosen by: AUROC and, where it is equal (as often on small splits), the lower loss."""
    loss = metrics["cross_entropy"]
    return metrics["auroc"] - 1e-9 * loss / (1 + loss)


class Progress:
    """The epochs of a run, with early stopping; every process has one, and all take the same decisions.

        progress = Progress(accelerator, folder, settings, patience=10, resume=args.resume)
        for epoch in progress.epochs(100):
            ...  # train, evaluate
            progress.end_epoch({"train_loss": loss}, metrics, lambda folder: model.save_pretrained(folder))
        progress.finish()

    Make it when model and optimizer are prepared: what it resumes is loaded into them.

    Args:
        accelerator: Holds what is saved and loaded.
        folder: The run's output folder; created if need be.
        settings: All that decides what the run does, ready for JSON.
        patience: Stop after this many epochs without a better validation AUROC.
        resume: Go on where an interrupted run stopped; otherwise what is left of one is deleted.

    Attributes:
        history: What `end_epoch` was given, per epoch, with `epoch`, `validation_auroc` and `validation_loss`.
        best: By "auroc" and "loss": the `epoch` and its validation `metrics`.

    Raises:
        MedIMetaError: If the interrupted run had other settings.
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
        if self.state.exists():
            self._load()

    @property
    def state(self) -> Path:
        """Where the state is kept."""
        return self._folder / "state"

    @property
    def _fresh(self) -> Path:
        return self._folder / ".state.part"

    def _load(self) -> None:
        found = json.loads((self.state / "progress.json").read_text(encoding="utf-8"))
        check_settings(found["settings"], self._settings, self.state)
        self.history, self.best = found["history"], found["best"]
        self._accelerator.load_state(str(self.state))
        self._accelerator.print(f"Going on after epoch {len(self.history)}.")

    def epochs(self, most: int) -> Iterator[int]:
        """Numbers of the epochs that are left, from 1, until patience is at its end."""
        while len(self.history) < most and not self._in_vain:
            yield len(self.history) + 1

    @property
    def _in_vain(self) -> bool:
        return bool(self.best) and len(self.history) - self.best["auroc"]["epoch"] >= self._patience

    def end_epoch(self, entry: Mapping[str, Any], metrics: Mapping[str, float], save: Callable[[Path], None]) -> None:
        """Note what an epoch brought, and write all of it to disk, as one step.

        Args:
            entry: For the history, ready for JSON.
            metrics: Of validation, the same in every process; `auroc` and `cross_entropy` are compared.
            save: Writes the model into a folder that exists; called in the main process, if the epoch is a best one.
        """
        epoch = len(self.history) + 1
        validation = {"validation_auroc": metrics["auroc"], "validation_loss": metrics["cross_entropy"]}
        self.history.append({"epoch": epoch} | dict(entry) | validation)
        better = {
            "auroc": not self.best or merit(metrics) > merit(self.best["auroc"]["metrics"]),
            "loss": not self.best or metrics["cross_entropy"] < self.best["loss"]["metrics"]["cross_entropy"],
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
            found = {"settings": self._settings, "history": self.history, "best": self.best}
            (self._fresh / "progress.json").write_text(json.dumps(found, indent=2), encoding="utf-8")
            _flush(self._fresh)
            replace_folder(self._fresh, self.state)
        self._accelerator.wait_for_everyone()

    def models(self) -> dict[str, Path]:
        """The folders of the best models, by "auroc" and "loss"."""
        return {by: self.state / f"best-{by}" for by in FINAL}

    def finish(self) -> None:
        """Give the best models their final places and delete the state; call it when nothing is left to do."""
        self._accelerator.wait_for_everyone()
        if self._accelerator.is_main_process:
            for by, name in FINAL.items():
                fresh = self._folder / f".{name}.part"
                recover(fresh, self._folder / name)
                mirror(self.state / f"best-{by}", fresh, frozenset())
                replace_folder(fresh, self._folder / name)
            shutil.rmtree(self.state)
        self._accelerator.wait_for_everyone()


def write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Note what the run is whose state will be in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / "settings.json") as partial:
        partial.write_text(json.dumps(settings), encoding="utf-8")


def read_settings(folder: Path) -> dict[str, Any]:
    """What `write_settings` noted."""
    found: dict[str, Any] = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    return found


def check_settings(before: Mapping[str, Any], now: Mapping[str, Any], where: Path) -> None:
    """Refuse to go on with a run that was another one.

    Raises:
        MedIMetaError: Naming the settings that differ.
    """
    now = json.loads(json.dumps(now))
    if different := [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]:
        changes = ", ".join(f"{name} was {before.get(name)!r}, is {now.get(name)!r}" for name in different)
        raise MedIMetaError(
            f"{where} is of a run with other settings: {changes}. Give the same ones to go on, leave out --resume to "
            "begin again, or take another --output-dir."
        )


def _flush(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
