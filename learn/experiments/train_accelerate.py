"""Fine-tune an image classifier with Accelerate: the training loop of `medimeta train`, written out."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from accelerate.utils import set_seed
from tqdm import tqdm

from ...cards.facts import Task
from ..data.batches import serve
from ..encoders import models
from ..evaluation.results import Result
from ..training import checkpoints, launch, loop, runs


def train(args: argparse.Namespace, task: Task, folder: Path) -> Result:
    """Train on one task, test the best models, and return the result of the best by validation AUROC."""
    accelerator = runs.start(args, folder)
    set_seed(args.seed)

    # Data. The first process prepares the dataset for all.
    with accelerator.main_process_first():
        rows, data = loop.load_splits(args, task)
    batches = loop.EqualBatches(
        len(data["train"]),
        args.batch_size,
        seed=args.seed,
        parts=args.gradient_accumulation,
        processes=accelerator.num_processes,
        rank=accelerator.process_index,
    )
    part_size = max(1, args.batch_size // (args.gradient_accumulation * accelerator.num_processes))

    # Model.
    model = models.load_model(args.model, task)
    preprocessing = model.transform
    weights = loop.loss_weights(args, data["train"], task)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
    if accelerator.device.type == "cuda":
        model = models.channels_last(model)
    model, optimizer = accelerator.prepare(model, optimizer)

    def evaluate(model: torch.nn.Module, split: str) -> dict[str, float]:
        logits = loop.predict(accelerator, model, preprocessing, data[split], batch_size=part_size)
        return loop.measure(task, logits, loop.known_labels(data[split]))

    def save(folder: Path) -> None:
        accelerator.unwrap_model(model).save_pretrained(folder)

    # Training.
    progress = checkpoints.Progress(
        accelerator, folder, runs.identity(args, task, rows), patience=args.patience, resume=args.resume
    )
    seconds, images = 0.0, 0
    for epoch in progress.epochs(args.epochs):
        started = time.perf_counter()
        model.train()
        batches.epoch = epoch
        data["train"].set_epoch(epoch)
        total = torch.zeros((), device=accelerator.device)
        served = serve(data["train"], batches, device=accelerator.device)
        for batch in tqdm(served, f"{task.dataset} epoch {epoch}", len(batches), leave=False, disable=runs.quiet()):
            with accelerator.accumulate(model):
                logits = model(pixel_values=preprocessing(batch["pixel_values"])).logits
                loss = loop.image_losses(logits, batch["labels"], weights).sum()
                accelerator.backward(loss / batches.share)
                optimizer.step()
                optimizer.zero_grad()
            total += loss.detach()
        train_loss = launch.summed(accelerator, total).item() / len(data["train"])
        seconds, images = seconds + time.perf_counter() - started, images + len(data["train"])

        # Every process has all logits and labels, so that all make the same decisions.
        metrics = evaluate(model, "validation")
        progress.end_epoch({"train_loss": train_loss}, metrics, save)
        accelerator.log({"train_loss": train_loss, **{f"validation_{k}": v for k, v in metrics.items()}}, step=epoch)
        losses = f"train {train_loss:.4f}, validation {metrics['cross_entropy']:.4f}"
        accelerator.print(f"epoch {epoch:3}  loss: {losses}  validation AUROC: {metrics['auroc']:.4f}")

    # Test: the best epoch by AUROC, and the best by loss, once each.
    tested: dict[str, dict[str, torch.Tensor]] = {"test": {}, "validation": {}}
    for by, saved in progress.models().items():
        accelerator.unwrap_model(model).restore(saved)
        for split in tested if args.calibrate else ["test"]:
            tested[split][by] = loop.predict(accelerator, model, preprocessing, data[split], batch_size=part_size)
    progress.finish()
    speed = images / max(seconds, 1e-9)
    validation = tested["validation"] or None
    about = progress.history, progress.best, tested["test"]
    return runs.finish(args, task, rows, accelerator, *about, validation=validation, images_per_second=speed)
