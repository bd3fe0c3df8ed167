"""Fine-tune a vision transformer on one MedIMeta task with the transformers Trainer.

    python train_with_trainer.py --dataset bus --task "case category" --output-dir runs/bus

The arguments and result.json are those of finetune_vit.py, where the training loop is written out.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from typing import Any

import torch
from accelerate import PartialState
from transformers import (
    AutoModelForImageClassification,
    EarlyStoppingCallback,
    EvalPrediction,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from medimeta.tasks import launch, models, runs, training


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Train, choose, test; return what result.json says."""
    if argv is None:
        launch.start_all_processes()
    args = training.parser(__doc__).parse_args(argv)
    has_accelerator = torch.cuda.is_available() or torch.backends.mps.is_available()
    state = PartialState(cpu=not has_accelerator)
    set_seed(args.seed)

    with state.main_process_first():  # the first process prepares the dataset, the others then find it prepared
        task, views = training.load_views(args)
        (args.output_dir / "result.json").unlink(missing_ok=True)  # an earlier run's, like the checkpoints
        shutil.rmtree(args.output_dir / "checkpoints", ignore_errors=True)
    model, preprocessing = models.load_model(args, task)
    weights = training.loss_weights(args, views["train"], task)

    def loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | None = None) -> torch.Tensor:
        # The Trainer counts label values over the whole batch, all parts and processes: k per image for multilabel.
        images = len(labels) if num_items_in_batch is None else num_items_in_batch / labels[0].numel()
        return training.image_losses(outputs.logits, labels, weights).sum() / images

    def metrics(prediction: EvalPrediction) -> dict[str, float]:
        found = training.measure(task, prediction.predictions, prediction.label_ids)
        return found | {"merit": training.merit(found)}

    part_size = max(1, args.batch_size // (args.gradient_accumulation * state.num_processes))
    arguments = TrainingArguments(
        output_dir=str(args.output_dir / "checkpoints"),
        num_train_epochs=args.epochs,
        per_device_train_batch_size=part_size,
        per_device_eval_batch_size=part_size,
        gradient_accumulation_steps=args.gradient_accumulation,
        learning_rate=args.lr,
        weight_decay=args.weight_decay,
        lr_scheduler_type="constant",
        max_grad_norm=0.0,  # no clipping, as in finetune_vit.py
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="epoch",
        save_total_limit=1,  # beside the best
        save_only_model=True,
        metric_for_best_model="eval_merit",
        greater_is_better=True,
        remove_unused_columns=False,  # the Trainer does not know the column `image`
        label_names=["labels"],
        dataloader_num_workers=args.num_workers,
        fp16=args.mixed_precision == "fp16",
        bf16=args.mixed_precision == "bf16",
        use_cpu=not has_accelerator,
        seed=args.seed,
        report_to="none",
        disable_tqdm=True,
    )
    common = {"data_collator": preprocessing, "compute_metrics": metrics, "compute_loss_func": loss}
    clock = Clock()
    trainer = Trainer(
        model,
        arguments,
        train_dataset=views["train"],
        eval_dataset=views["validation"],
        callbacks=[EarlyStoppingCallback(args.patience), clock],
        **common,
    )
    trainer.train()

    log = trainer.state.log_history
    validations = [entry for entry in log if "eval_auroc" in entry]
    history = [
        {
            "epoch": epoch,
            "train_loss": train_loss,
            "validation_loss": entry["eval_cross_entropy"],
            "validation_auroc": entry["eval_auroc"],
        }
        for epoch, (train_loss, entry) in enumerate(
            zip((entry["loss"] for entry in log if "loss" in entry), validations, strict=True), start=1
        )
    ]
    best = max(validations, key=lambda entry: entry["eval_merit"])
    # Not `load_best_model_at_end`: transformers 5 saves a ViT under old names of its weights, and the Trainer, which
    # looks for the new ones, would leave the last epoch's weights in place with no more than a warning.
    chosen = AutoModelForImageClassification.from_pretrained(trainer.state.best_model_checkpoint)
    test = Trainer(chosen, arguments, eval_dataset=views["test"], **common).evaluate()
    found = runs.result(
        args,
        task,
        views,
        processes=state.num_processes,
        epochs=len(history),
        best_epoch=1 + validations.index(best),
        history=history,
        validation=only_metrics(best),
        test=only_metrics(test),
        images_per_second=len(history) * len(views["train"]) / clock.seconds,
    )
    if state.is_main_process:
        models.save_model(args.output_dir / "model", chosen, preprocessing)
        shutil.rmtree(arguments.output_dir)
        runs.write_result(found, args.output_dir)
    trainer.accelerator.end_training()
    return found


class Clock(TrainerCallback):
    """Adds up the time of training alone; the Trainer's own figure has evaluation in it."""

    seconds = 0.0

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        """Start."""
        self._started = time.perf_counter()

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        """Stop; evaluation comes after this."""
        self.seconds += time.perf_counter() - self._started


def only_metrics(entry: dict[str, float]) -> dict[str, float]:
    """The metrics of an evaluation under their plain names, without the Trainer's loss and timings."""
    own = ("loss", "merit", "runtime", "samples_per_second", "steps_per_second", "model_preparation_time")
    found = {name.removeprefix("eval_"): value for name, value in entry.items() if name.startswith("eval_")}
    return {name: value for name, value in found.items() if name not in own}


if __name__ == "__main__":
    main()
