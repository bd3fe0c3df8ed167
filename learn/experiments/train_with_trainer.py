"""Fine-tune an image classifier on MedIMeta tasks with the transformers Trainer: full supervision, as published.

    python train_with_trainer.py --tasks bus "cxr/disease labels" --output-dir runs

Arguments and results are those of finetune_vit.py, where the training loop is written out.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import AutoModelForImageClassification, Trainer, TrainerCallback, TrainingArguments, set_seed

from ...cards.facts import Task
from ...files.atomic import replace_folder
from ..data.pixel_dataset import collate
from ..encoders import models
from ..evaluation.results import Result
from ..training import arguments, checkpoints, launch, runs
from ..training import loop as training


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = arguments.parser(__doc__)
    arguments.add_tasks(parser)
    arguments.add_training(parser)
    arguments.add_class_weights(parser)
    return arguments.parse(parser, argv)


def main(argv: Sequence[str] | None = None) -> list[Result]:
    """Train, choose and test a model for each task; return what their result.json files say."""
    return runs.each_task(parse(argv), train)


def train(args: argparse.Namespace, task: Task, folder: Path) -> Result:
    """One task."""
    accelerator = runs.start(args, folder)
    set_seed(args.seed)
    with accelerator.main_process_first():  # the first process prepares the dataset, the others then find it prepared
        rows, data = training.load_splits(args, task)
    batches = training.EqualBatches(
        len(data["train"]),
        args.batch_size,
        seed=args.seed,
        parts=args.gradient_accumulation,
        processes=accelerator.num_processes,
        rank=accelerator.process_index,
    )
    model, preprocessing = models.load_model(args.model, task)
    weights = training.loss_weights(args, data["train"], task)
    part_size = max(1, args.batch_size // (args.gradient_accumulation * accelerator.num_processes))

    targets = training.targets(data["validation"])

    def predict(model: torch.nn.Module, split: str) -> torch.Tensor:
        return training.predict(accelerator, model, preprocessing, data[split], batch_size=part_size)

    class TaskTrainer(Trainer):
        """Our batches, so that every image comes once per epoch in any number of processes, and the task's loss."""

        control: Any

        def get_train_dataloader(self) -> DataLoader[Any]:
            return DataLoader(data["train"], batch_sampler=batches, collate_fn=collate)

        def _prepare_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
            inputs = super()._prepare_inputs(inputs)  # to the device, where they are normalised
            return {"pixel_values": preprocessing(inputs["pixel_values"]), "labels": inputs["labels"]}

        def compute_loss(self, model: torch.nn.Module, inputs: dict[str, Any], **_: Any) -> torch.Tensor:
            logits = model(pixel_values=inputs["pixel_values"]).logits
            loss = training.image_losses(logits, inputs["labels"], weights).sum() / batches.share
            scaled: torch.Tensor = loss / self.args.gradient_accumulation_steps
            return scaled

        def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
            metrics = training.measure(task, predict(self.model, "validation"), targets)
            named = {f"eval_{name}": value for name, value in metrics.items()}
            self.log(named)
            self.callback_handler.on_evaluate(self.args, self.state, self.control, named)  # changes `control` in place
            return named

    class Best(TrainerCallback):
        """Keeps the best models and stops in time, by nothing but the log, which a resumed run has too.

        Not `load_best_model_at_end`: transformers 5 saves a ViT under old names of its weights, and the Trainer, which
        looks for the new ones, would leave the last epoch's weights in place with no more than a warning.
        """

        def on_epoch_begin(self, arguments: Any, state: Any, control: Any, **_: Any) -> None:
            batches.epoch = 1 + round(state.epoch or 0)
            data["train"].set_epoch(batches.epoch)

        def on_evaluate(self, arguments: Any, state: Any, control: Any, **_: Any) -> None:
            history, best = chronicle(state.log_history)
            accelerator.log(history[-1], step=len(history))
            for by, found in best.items():
                if found["epoch"] == len(history) and accelerator.is_main_process:
                    models.save_model(folder / f"best-{by}", accelerator.unwrap_model(trainer.model), preprocessing)
            control.should_training_stop |= len(history) - best["auroc"]["epoch"] >= args.patience

    # A resumed run gets its weights here: the Trainer, as said above, would not find them.
    last = latest(folder / "state") if args.resume else None
    identity = runs.identity(args, task, rows) | {"processes": accelerator.num_processes}
    if last is None:
        if accelerator.is_main_process:
            shutil.rmtree(folder / "state", ignore_errors=True)
            checkpoints.write_settings(folder / "state", identity)
    else:
        checkpoints.check_settings(checkpoints.read_settings(folder / "state"), identity, folder / "state")
        model = AutoModelForImageClassification.from_pretrained(last)
    accelerator.wait_for_everyone()
    trainer = TaskTrainer(
        model,
        TrainingArguments(
            output_dir=str(folder / "state"),
            num_train_epochs=args.epochs,
            per_device_train_batch_size=part_size,
            gradient_accumulation_steps=args.gradient_accumulation,
            learning_rate=arguments.learning_rate(args),
            weight_decay=args.weight_decay,
            lr_scheduler_type="constant",
            max_grad_norm=0.0,  # no clipping, as in finetune_vit.py
            eval_strategy="epoch",
            save_strategy="epoch",
            logging_strategy="epoch",
            save_total_limit=1,
            remove_unused_columns=False,  # or it would take batches apart
            fp16=args.mixed_precision == "fp16",
            bf16=args.mixed_precision == "bf16",
            use_cpu=accelerator.device.type == "cpu",
            seed=args.seed,
            report_to="none",  # Accelerate's trackers are told by `Best`
            disable_tqdm=runs.quiet() is not None,
        ),
        train_dataset=data["train"],
        eval_dataset=data["validation"],
        callbacks=[Best()],
    )
    seconds = trainer.train(resume_from_checkpoint=last).metrics["train_runtime"]

    history, best = chronicle(trainer.state.log_history)
    chosen = {by: folder / f"best-{by}" for by in checkpoints.FINAL}
    accelerator.wait_for_everyone()
    logits = {
        by: predict(AutoModelForImageClassification.from_pretrained(path).to(accelerator.device), "test")
        for by, path in chosen.items()
    }
    if accelerator.is_main_process:
        for by, path in chosen.items():
            replace_folder(path, folder / checkpoints.FINAL[by])
        shutil.rmtree(folder / "state")
    accelerator.wait_for_everyone()
    speed = len(history) * len(data["train"]) / seconds  # with evaluation in it
    return runs.finish(args, task, rows, accelerator, history, best, logits, images_per_second=speed)


def chronicle(log: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """History and best epochs, as `checkpoints.Progress` has them, from the Trainer's log."""
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
            "validation_auroc": found["auroc"],
            "validation_loss": found["cross_entropy"],
        }
        for epoch, (loss, found) in enumerate(zip(losses, metrics, strict=True), start=1)
    ]
    best = {
        "auroc": max(range(len(metrics)), key=lambda i: checkpoints.merit(metrics[i])),
        "loss": min(range(len(metrics)), key=lambda i: metrics[i]["cross_entropy"]),
    }
    return history, {by: {"epoch": 1 + i, "metrics": metrics[i]} for by, i in best.items()}


def latest(state: Path) -> str | None:
    """The last whole checkpoint of the Trainer; it writes trainer_state.json last but for random states."""
    found = [path for path in state.glob("checkpoint-*") if (path / "trainer_state.json").exists()]
    return str(max(found, key=lambda path: int(path.name.rpartition("-")[2]))) if found else None


if __name__ == "__main__":
    launch.run(main)
