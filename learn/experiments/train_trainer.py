"""Fine-tune an image classifier with the transformers Trainer: `medimeta train --engine trainer`.

Options and results are those of `train_accelerate.py`, where the training loop is written out.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed

from ...cards.facts import Task
from ...files.atomic import replace_folder
from ..data.pixel_dataset import collate
from ..encoders import models
from ..evaluation.results import Result
from ..training import checkpoints, loop, resume, runs


def train(args: argparse.Namespace, task: Task, folder: Path) -> Result:
    """Train on one task, test the best models, and return the result of the best by validation AUROC."""
    accelerator = runs.start(args, folder)
    set_seed(args.seed)
    with accelerator.main_process_first():  # the first process prepares the dataset for all
        rows, data = loop.load_splits(args, task)
    batches = loop.EqualBatches(
        len(data["train"]),
        args.batch_size,
        seed=args.seed,
        parts=args.gradient_accumulation,
        processes=accelerator.num_processes,
        rank=accelerator.process_index,
    )
    model = models.load_model(args.model, task)
    preprocessing = model.transform
    weights = loop.loss_weights(args, data["train"], task)
    part_size = max(1, args.batch_size // (args.gradient_accumulation * accelerator.num_processes))

    labels = loop.known_labels(data["validation"])

    def predict(model: torch.nn.Module, split: str) -> torch.Tensor:
        return loop.predict(accelerator, model, preprocessing, data[split], batch_size=part_size)

    class TaskTrainer(Trainer):
        """A Trainer whose batches contain every image once per epoch, with the loss of the task."""

        control: Any

        def get_train_dataloader(self) -> DataLoader[Any]:
            return DataLoader(data["train"], batch_sampler=batches, collate_fn=collate)

        def _prepare_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
            inputs = super()._prepare_inputs(inputs)  # to the device, where they are normalised
            return {"pixel_values": preprocessing(inputs["pixel_values"]), "labels": inputs["labels"]}

        def compute_loss(self, model: torch.nn.Module, inputs: dict[str, Any], **_: Any) -> torch.Tensor:
            logits = model(pixel_values=inputs["pixel_values"]).logits
            loss = loop.image_losses(logits, inputs["labels"], weights).sum() / batches.share
            scaled: torch.Tensor = loss / self.args.gradient_accumulation_steps
            return scaled

        def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
            metrics = loop.measure(task, predict(cast(torch.nn.Module, self.model), "validation"), labels)
            named = {f"eval_{name}": value for name, value in metrics.items()}
            self.log(named)
            self.callback_handler.on_evaluate(self.args, self.state, self.control, named)  # changes `control` in place
            return named

    class Best(TrainerCallback):
        """Keeps the best models and stops early, from the log alone, which a resumed run has too."""

        def on_epoch_begin(self, settings: Any, state: Any, control: Any, **_: Any) -> None:
            batches.epoch = 1 + round(state.epoch or 0)
            data["train"].set_epoch(batches.epoch)

        def on_evaluate(self, settings: Any, state: Any, control: Any, **_: Any) -> None:
            history, best = chronicle(state.log_history)
            accelerator.log(history[-1], step=len(history))
            for by, chosen in best.items():
                if chosen["epoch"] == len(history) and accelerator.is_main_process:
                    models.save_model(folder / f"best-{by}", accelerator.unwrap_model(trainer.model))
            control.should_training_stop |= checkpoints.out_of_patience(history, args.patience)

    last = latest(folder / "state") if args.resume else None
    identity = runs.identity(args, task, rows) | {"processes": accelerator.num_processes}
    if last is None:
        if accelerator.is_main_process:
            shutil.rmtree(folder / "state", ignore_errors=True)
            resume.note(folder / "state" / "settings.json", identity)
    else:
        resume.check(resume.noted(folder / "state" / "settings.json") or {}, identity, folder / "state")
    accelerator.wait_for_everyone()
    trainer = TaskTrainer(
        model,
        TrainingArguments(
            output_dir=str(folder / "state"),
            num_train_epochs=args.epochs,
            per_device_train_batch_size=part_size,
            gradient_accumulation_steps=args.gradient_accumulation,
            learning_rate=args.lr,
            weight_decay=args.weight_decay,
            lr_scheduler_type="constant",
            max_grad_norm=0.0,  # no clipping, as with Accelerate
            eval_strategy="epoch",
            save_strategy="epoch",
            logging_strategy="epoch",
            save_total_limit=1,
            remove_unused_columns=False,  # otherwise it splits batches into rows
            fp16=args.mixed_precision == "fp16",
            bf16=args.mixed_precision == "bf16",
            use_cpu=accelerator.device.type == "cpu",
            seed=args.seed,
            report_to="none",  # `Best` reports to Accelerate's trackers
            disable_tqdm=runs.quiet() is not None,
        ),
        train_dataset=data["train"],
        eval_dataset=data["validation"],
        callbacks=[Best()],
    )
    trainer.model_accepts_loss_kwargs = True  # `compute_loss` divides by the accumulation steps
    seconds = trainer.train(resume_from_checkpoint=last).metrics["train_runtime"]

    history, best = chronicle(trainer.state.log_history)
    chosen = {by: folder / f"best-{by}" for by in checkpoints.FINAL}
    accelerator.wait_for_everyone()
    logits: dict[str, dict[str, torch.Tensor]] = {"test": {}, "validation": {}}
    for by, path in chosen.items():
        model.restore(path)
        for split in logits if args.calibrate else ["test"]:
            logits[split][by] = predict(model, split)
    if accelerator.is_main_process:
        for by, path in chosen.items():
            replace_folder(path, folder / checkpoints.FINAL[by])
        shutil.rmtree(folder / "state")
    accelerator.wait_for_everyone()
    speed = len(history) * len(data["train"]) / seconds  # evaluation included
    validation = logits["validation"] or None
    return runs.finish(
        args, task, rows, accelerator, history, best, logits["test"], validation=validation, images_per_second=speed
    )


def chronicle(log: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return history and best epochs, as in `checkpoints.Progress`, from the Trainer's log."""
    metrics = [
        {k.removeprefix("eval_"): v for k, v in e.items() if k not in ("epoch", "step")}
        for e in log
        if "eval_auroc" in e
    ]
    losses = [entry["loss"] for entry in log if "loss" in entry]
    history = [
        {
            "epoch": epoch,
            "train_loss": loss,
            "validation_auroc": one["auroc"],
            "validation_loss": one["cross_entropy"],
        }
        for epoch, (loss, one) in enumerate(zip(losses, metrics, strict=True), start=1)
    ]
    merits = [checkpoints.merit(one) for one in metrics]
    chosen = {by: max(range(len(merits)), key=lambda i: merits[i][by]) for by in checkpoints.FINAL}
    return history, {by: {"epoch": 1 + i, "metrics": metrics[i]} for by, i in chosen.items()}


def latest(state: Path) -> str | None:
    """Return the last complete checkpoint of the Trainer, which writes trainer_state.json near the end."""
    complete = [path for path in state.glob("checkpoint-*") if (path / "trainer_state.json").exists()]
    return str(max(complete, key=lambda path: int(path.name.rpartition("-")[2]))) if complete else None
