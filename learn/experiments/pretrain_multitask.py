"""Multi-task training on the cross-domain source pool: `medimeta pretrain multitask` (mm-PT, as published).

Every step takes one batch of one task, which is drawn in proportion to its remaining batches; every task has its own
head. Training stops when validation AUROC, averaged over the tasks, no longer improves. No image of the target or of
anything that overlaps with it is loaded, and no test image at all. The heads are kept next to the backbone.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import set_seed
from datasets import Dataset
from tqdm import tqdm

from ...cards.facts import Task
from ...errors import MedIMetaError
from ...files.json_values import canonical
from ..data.mixing import MixedBatches
from ..data.pixel_dataset import PixelDataset
from ..encoders import models
from ..episodes.rows import fingerprint
from ..evaluation.measures.scores import probabilities
from ..evaluation.results import Result
from ..training import checkpoints, launch, loop, model_card, pretraining, resume, runs
from ..training.arguments import model_name, settings
from ..training.learning_rates import learning_rate
from ..training.multitask import MultiTask, served, sum_gradients

SPLITS = ("train", "validation")
Data = dict[Task, tuple[dict[str, Dataset], dict[str, PixelDataset]]]


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Pre-train a backbone, and return the content of training.json."""
    pool, tasks = pretraining.source_pool(args)
    if args.lr is None:
        args.lr = learning_rate(args.model)
    if args.resume and (earlier := resume.finished(args.output_dir / pretraining.FILE, settings(args))) is not None:
        print(f"{args.output_dir} is finished.")
        return earlier
    if args.push_to_hub is not None:
        model_card.check_hub(args.push_to_hub)
    accelerator = runs.start(args, args.output_dir)
    set_seed(args.seed)

    # Data. The first process prepares the datasets for all.
    with accelerator.main_process_first():
        sources, left_out = load_sources(args, tasks)
    tasks = list(sources)
    train = {task: data["train"] for task, (_, data) in sources.items()}
    batches = MixedBatches({task: len(data) for task, data in train.items()}, args.batch_size, seed=args.seed)
    accelerator.print(f"{len(tasks)} tasks, {batches.total:,} batches per epoch; target: {', '.join(pool.targets)}")
    for name, reason in {**pool.left_out, **left_out}.items():
        accelerator.print(f"  left out: {name}: {reason}")

    # Model. It is not wrapped for several processes: their gradients are summed below.
    backbone = models.load_backbone(args.model)
    preprocessing = backbone.transform
    if accelerator.device.type == "cuda":
        backbone = models.channels_last(backbone)
    model = MultiTask(backbone, tasks)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
    model = accelerator.prepare_model(model, evaluation_mode=True)
    optimizer = accelerator.prepare(optimizer)
    share = {"parts": args.gradient_accumulation, "processes": accelerator.num_processes}
    part_size = max(1, args.batch_size // (args.gradient_accumulation * accelerator.num_processes))

    def predict(task: Task) -> torch.Tensor:
        classifier = accelerator.unwrap_model(model).classifier(task)
        return loop.predict(
            accelerator, classifier, preprocessing, sources[task][1]["validation"], batch_size=part_size
        )

    def save(folder: Path) -> None:
        accelerator.unwrap_model(model).save_pretrained(folder)

    # Training.
    identity = settings(args) | {"data": data_sha256(sources)}
    progress = checkpoints.Progress(accelerator, args.output_dir, identity, patience=args.patience, resume=args.resume)
    for epoch in progress.epochs(args.epochs):
        model.train()
        totals = torch.zeros(len(tasks), device=accelerator.device)
        mixed = served(batches.at(epoch), train, **share, rank=accelerator.process_index, device=accelerator.device)
        for task, images, parts in tqdm(mixed, f"epoch {epoch}", batches.total, leave=False, disable=runs.quiet()):
            for part in parts:
                logits = model(preprocessing(part["pixel_values"]), task)
                loss = loop.image_losses(logits, part["labels"]).sum()
                accelerator.backward(loss / images)
                totals[tasks.index(task)] += loss.detach()
            sum_gradients(accelerator, model)
            optimizer.step()
            optimizer.zero_grad()
        means = launch.summed(accelerator, totals).cpu() / torch.tensor([len(data) for data in train.values()])

        # Every process has all logits and labels, so that all make the same decisions.
        measured = {}
        for task, (_, data) in sources.items():
            measured[task] = loop.measure(task, predict(task), loop.known_labels(data["validation"]))
        metrics = {
            name: float(np.mean([one[name] for one in measured.values()])) for name in ("auroc", "cross_entropy")
        }
        aurocs = {f"{task.dataset}/{task.name}": one["auroc"] for task, one in measured.items()}
        train_loss = means.mean().item()
        progress.end_epoch({"train_loss": train_loss, "validation_aurocs": aurocs}, metrics, save)
        accelerator.log({"train_loss": train_loss, "validation_auroc": metrics["auroc"]} | aurocs, step=epoch)
        accelerator.print(f"epoch {epoch:3}  loss: {train_loss:.4f}  mean validation AUROC: {metrics['auroc']:.4f}")

    # The best epoch's backbone, as it was saved, with its heads on the validation splits of its sources.
    best = progress.models()["auroc"]
    accelerator.unwrap_model(model).restore(best)
    results = [
        Result.of_scores(
            task,
            probabilities(task, predict(task).numpy()),
            sources[task][0]["validation"],
            split="validation",
            protocol="multi-task pre-training",
            method="mm-PT",
            model=model_name(args),
            seed=args.seed,
            settings=settings(args),
            extra={"epoch": progress.best["auroc"]["epoch"]},
        )
        for task in tasks
    ]
    how = f"pre-trained on {len(tasks)} tasks without {', '.join(pool.targets)}"
    return pretraining.finish(
        args, accelerator, progress, identity, how=how, results=results, left_out={**pool.left_out, **left_out}
    )


def load_sources(args: argparse.Namespace, tasks: Sequence[Task]) -> tuple[Data, dict[str, str]]:
    """Return the train and validation splits of each task, and the reasons why tasks are left out.

    Raises:
        MedIMetaError: If no task is left.
    """
    sources: Data = {}
    left_out = {}
    for task in tasks:
        try:
            sources[task] = loop.load_splits(args, task, SPLITS)
        except loop.OneClass as error:
            left_out[f"{task.dataset}/{task.name}"] = str(error)
    if not sources:
        raise MedIMetaError("No source task can be validated:" + "".join(f"\n  {why}" for why in left_out.values()))
    return sources, left_out


def data_sha256(sources: Data) -> str:
    """Return a hash of the images and labels of all sources."""
    prints = [[fingerprint(view, task) for view in rows.values()] for task, (rows, _) in sources.items()]
    return hashlib.sha256(canonical(prints)).hexdigest()
