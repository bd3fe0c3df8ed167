"""Meta-training on episodes of the cross-domain source pool: `medimeta pretrain maml`.

Training episodes come from the train splits of datasets that share nothing with the target, episodes for early stopping
from their validation splits; no test image is used. The backbone's weights are learned so that a few steps of gradient
descent solve an episode: at one fixed rate (mm-MAML, as published), or at learned rates (mm-MetaSGD). See
`few_shot/maml.py`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object, set_seed
from tqdm import tqdm

from ...errors import MedIMetaError
from ..encoders import models
from ..encoders.network import Network, batch_norms
from ..episodes.recipe import Recipe
from ..evaluation.results import Result
from ..few_shot import maml, meta_training, problems
from ..training import checkpoints, model_card, pretraining, resume, runs
from ..training.arguments import model_name, settings

METHOD = {"published": "mm-MAML", "learned": "mm-MetaSGD"}  # by --inner
MIN_IMAGES = 40  # of a class of a source task, as published


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Meta-train a backbone, and return the content of training.json."""
    pool, tasks = pretraining.source_pool(args)
    if args.resume and (earlier := resume.finished(args.output_dir / pretraining.FILE, settings(args))) is not None:
        print(f"{args.output_dir} is finished.")
        return earlier
    if args.push_to_hub is not None:
        model_card.check_hub(args.push_to_hub)
    accelerator = runs.start(args, args.output_dir)
    rank, world, device = accelerator.process_index, accelerator.num_processes, accelerator.device
    set_seed(args.seed)

    # Episodes. The first process draws them for all.
    least = args.min_images if args.min_images is not None or args.tiny else MIN_IMAGES
    recipe = Recipe(tuple(args.shots), args.queries, "random", least, None, not args.share_subjects)
    with accelerator.main_process_first():
        train, validation = (
            meta_training.source_episodes(args, tasks, split, recipe, n=n)
            for split, n in (("train", args.train_episodes), ("validation", args.validation_episodes))
        )
    for split, source in (("train", train), ("validation", validation)):
        accelerator.print(f"{split}: {len(source):,} episodes of {len(source.sets)} tasks")
        for reason in source.left_out.values():
            accelerator.print(f"  left out: {reason}")

    # Model. Gradients of several processes are added up by hand, below.
    model = models.load_backbone(args.model).to(device)
    network, preprocessing = Network(model), model.transform
    learner = maml.MetaLearner(network, args.inner_rate, learned=args.inner == "learned")
    accelerator.prepare_model(learner.state, evaluation_mode=True)  # saved and loaded, but not wrapped
    optimizer = accelerator.prepare(torch.optim.Adam(learner.parameters, lr=args.lr))
    norms = len(batch_norms(model))
    accelerator.print(f"Layers of (transductive) batch normalisation: {norms}.")
    identity = settings(args) | {"train": train.sha256, "validation": validation.sha256}

    def validate(learner: maml.MetaLearner) -> tuple[list[float], list[float]]:
        """Return AUROC and loss of each validation episode, solved at the fixed rate; the same in every process."""
        mine = []
        numbers = range(rank, len(validation), world)
        for number in tqdm(numbers, desc="validation", leave=False, disable=runs.quiet()):
            problem = validation.problem(number, preprocessing, device)
            with maml.transductive(learner.network), accelerator.autocast():
                loss, logits = learner.answer(problem, steps=args.validation_steps, rate=args.inner_rate)
            auroc = problems.measure(problem.task, logits, problem.query_labels.cpu().numpy())["auroc"]
            mine.append((number, auroc, loss))
        _, aurocs, losses = zip(*sorted(gather_object(mine)), strict=True)
        return list(aurocs), list(losses)

    def save(folder: Path) -> None:
        if norms:
            some = range(0, len(train), max(1, len(train) // 100))
            maml.refresh_batch_norms(network, (train.problem(n, preprocessing, device).query for n in some))
        learner.save_pretrained(folder)

    progress = checkpoints.Progress(accelerator, args.output_dir, identity, patience=args.patience, resume=args.resume)
    steps = args.epoch_steps or -(-len(train) // args.batch_size)
    for epoch in progress.epochs(args.epochs):
        outer = range((epoch - 1) * steps, epoch * steps)
        train_loss = 0.0
        for step in tqdm(outer, desc=f"epoch {epoch}", leave=False, disable=runs.quiet()):
            batch = meta_training.outer_batch(step, len(train), size=args.batch_size, seed=args.seed)
            loss, total = 0.0, [torch.zeros_like(parameter) for parameter in learner.parameters]
            for place in range(rank, len(batch), world):
                augmentation = None if args.no_augmentation else (args.seed, step, place)
                problem = train.problem(batch[place], preprocessing, device, augmentation)
                with maml.transductive(network), accelerator.autocast():
                    one, gradients = learner.gradients(problem, steps=args.inner_steps, order=args.order)
                loss += one / len(batch)
                torch._foreach_add_(total, gradients, alpha=1 / len(batch))  # pyright: ignore[reportPrivateImportUsage]  as torch's own optimizers do
            loss, total = maml.sum_over_processes(accelerator, loss, total)
            if not np.isfinite(loss):
                raise MedIMetaError(
                    f"Outer step {step} gives {loss}: training diverged. Use a lower --inner-rate or --lr."
                )
            for parameter, gradient in zip(learner.parameters, total, strict=True):
                parameter.grad = gradient
            optimizer.step()
            train_loss += loss / steps

        # Every process gets all numbers, so that all make the same decisions.
        aurocs, losses = validate(learner)
        metrics = {"auroc": float(np.mean(aurocs)), "cross_entropy": float(np.mean(losses))}
        progress.end_epoch({"train_loss": train_loss}, metrics, save)
        accelerator.log({"train_loss": train_loss, "validation_auroc": metrics["auroc"]}, step=epoch)
        accelerator.print(f"epoch {epoch:3}  query loss {train_loss:.4f}  validation AUROC {metrics['auroc']:.4f}")

    # The best epoch's backbone, as it was saved, on the validation episodes of each source.
    model.restore(progress.models()["auroc"])
    aurocs, _ = validate(maml.MetaLearner(Network(model)))
    results = [
        Result.of_episodes(
            episodes,
            {"auroc": values},
            protocol="meta-training",
            method=METHOD[args.inner],
            model=model_name(args),
            seed=args.seed,
            settings=settings(args),
            extra={"epoch": progress.best["auroc"]["epoch"]},
        )
        for episodes, values in zip(validation.sets, np.split(np.array(aurocs), len(validation.sets)), strict=True)
    ]
    how = f"meta-trained on episodes of {len(train.sets)} tasks without {', '.join(pool.targets)}"
    left_out = {**pool.left_out, "train": train.left_out, "validation": validation.left_out}
    return pretraining.finish(args, accelerator, progress, identity, how=how, results=results, left_out=left_out)
