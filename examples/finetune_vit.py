"""Fine-tune a vision transformer on one MedIMeta task with Accelerate.

    python finetune_vit.py --dataset bus --task "case category" --output-dir runs/bus
    accelerate launch --num_processes 2 finetune_vit.py --dataset crc --output-dir runs/crc

The model of the epoch with the best validation AUROC is kept, and tested once on the test split. How many processes
there are changes how fast a run is, not what it computes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch.utils.data import DataLoader
from transformers import AutoModelForImageClassification

from medimeta.cards.catalogue import Task
from medimeta.tasks import launch, models, runs, training


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Train, choose, test; return what result.json says."""
    if argv is None:
        launch.start_all_processes()
    args = training.parser(__doc__).parse_args(argv)
    accelerator = Accelerator(
        mixed_precision=args.mixed_precision, gradient_accumulation_steps=args.gradient_accumulation
    )
    set_seed(args.seed)

    # Data. The first process prepares the dataset, the others then find it prepared.
    with accelerator.main_process_first():
        task, views = training.load_views(args)
        (args.output_dir / "result.json").unlink(missing_ok=True)  # an earlier run's
    model, preprocessing = models.load_model(args, task)
    batches = training.EqualBatches(
        len(views["train"]),
        args.batch_size,
        seed=args.seed,
        parts=args.gradient_accumulation,
        processes=accelerator.num_processes,
        rank=accelerator.process_index,
    )
    common = {
        "collate_fn": preprocessing,
        "num_workers": args.num_workers,
        "persistent_workers": args.num_workers > 0,
        "pin_memory": accelerator.device.type == "cuda",
        "generator": torch.Generator().manual_seed(args.seed),
    }
    train = DataLoader(views["train"], batch_sampler=batches, **common)
    part_size = max(1, args.batch_size // (args.gradient_accumulation * accelerator.num_processes))
    validation, test = (DataLoader(views[s], batch_size=part_size, **common) for s in ("validation", "test"))

    # `train` is not prepared: its batches are this process's own already.
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
    model, optimizer, validation, test = accelerator.prepare(model, optimizer, validation, test)
    weights = training.loss_weights(args, views["train"], task)

    history: list[dict[str, float]] = []
    best: dict[str, Any] = {}
    seconds = 0.0
    for epoch in range(1, args.epochs + 1):
        started = time.perf_counter()
        model.train()
        batches.epoch = epoch
        total = torch.zeros((), device=accelerator.device)
        for batch in train:
            batch = {name: values.to(accelerator.device, non_blocking=True) for name, values in batch.items()}
            with accelerator.accumulate(model):
                logits = model(pixel_values=batch["pixel_values"]).logits
                loss = training.image_losses(logits, batch["labels"], weights).sum()
                accelerator.backward(loss / batches.share)
                optimizer.step()
                optimizer.zero_grad()
            total += loss.detach()
        train_loss = accelerator.reduce(total, "sum").item() / len(views["train"])
        seconds += time.perf_counter() - started

        # Every process has all logits and labels, so all take the same decisions below.
        metrics = evaluate(accelerator, model, validation, task)
        auroc, validation_loss = metrics["auroc"], metrics["cross_entropy"]
        history.append(
            {"epoch": epoch, "train_loss": train_loss, "validation_loss": validation_loss, "validation_auroc": auroc}
        )
        losses = f"train {train_loss:.4f}, validation {validation_loss:.4f}"
        accelerator.print(f"epoch {epoch:3}  loss: {losses}  validation AUROC: {auroc:.4f}")
        if not best or training.merit(metrics) > training.merit(best["metrics"]):
            best = {"epoch": epoch, "metrics": metrics}
            if accelerator.is_main_process:
                models.save_model(args.output_dir / "model", accelerator.unwrap_model(model), preprocessing)
        elif epoch - best["epoch"] >= args.patience:
            break

    accelerator.wait_for_everyone()  # until the best model is on disk
    chosen = AutoModelForImageClassification.from_pretrained(args.output_dir / "model").to(accelerator.device)
    tested = evaluate(accelerator, chosen, test, task)
    found = runs.result(
        args,
        task,
        views,
        processes=accelerator.num_processes,
        epochs=len(history),
        best_epoch=best["epoch"],
        history=history,
        validation=best["metrics"],
        test=tested,
        images_per_second=len(history) * len(views["train"]) / seconds,
    )
    if accelerator.is_main_process:
        runs.write_result(found, args.output_dir)
    accelerator.print("test: " + ", ".join(f"{name} {value:.4f}" for name, value in tested.items()))
    accelerator.end_training()
    return found


@torch.no_grad()
def evaluate(accelerator: Accelerator, model: torch.nn.Module, loader: DataLoader[Any], task: Task) -> dict[str, float]:
    """The task's metrics over a whole split, the same in every process."""
    model.eval()
    logits, labels = [], []
    for batch in loader:
        with accelerator.autocast():
            found = model(pixel_values=batch["pixel_values"]).logits.float()
        # Processes get equally many batches; the images that were repeated for that are dropped here.
        found, truth = accelerator.gather_for_metrics((found, batch["labels"]))
        logits.append(found.cpu())
        labels.append(truth.cpu())
    return training.measure(task, torch.cat(logits), torch.cat(labels))


if __name__ == "__main__":
    main()
