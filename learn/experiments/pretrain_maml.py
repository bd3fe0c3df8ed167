"""Meta-train a backbone on episodes of the cross-domain source pool: mm-MAML, by the published protocol.

    python pretrain_maml.py --target pbc --model microsoft/resnet-18 --output-dir runs/maml
    python few_shot.py --dataset pbc --model runs/maml/model --name mm-MAML --output-dir runs/maml/pbc

Episodes to learn from come from the train splits of datasets that share nothing with the target, episodes to stop by
from their validation splits; no test image is touched. What is learned are the backbone's weights and a learning rate
for each of them, so that a few steps of gradient descent solve an episode; medimeta/tasks/maml.py says how.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object, set_seed
from tqdm import tqdm

from ...errors import MedIMetaError
from ..encoders import backbones, models
from ..episodes.recipe import Recipe
from ..evaluation.results import Result
from ..few_shot import maml, meta_training, problems
from ..training import arguments, checkpoints, launch, model_card, pretraining, runs

# What fits miniatures, whose validation splits have some ten images per class.
TINY = {"shots": (1, 3), "queries": 5, "train_episodes": 20, "validation_episodes": 5}


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; the defaults are the published protocol where it names them."""
    wanted = arguments.parser(__doc__)
    arguments.add_push(wanted)
    pretraining.add_pool(wanted)
    add = wanted.add_argument
    add("--order", type=int, choices=(1, 2), default=2, help="of the meta-gradient; 1 is cheaper (%(default)s)")
    add("--train-episodes", type=int, default=1000, help="per task (%(default)s)")
    add("--validation-episodes", type=int, default=100, help="per task (%(default)s)")
    add("--shots", type=int, nargs=2, default=(1, 10), help="fewest and most, drawn for each episode (1 10)")
    add("--queries", type=int, default=10, help="per class (%(default)s)")
    add("--min-images", type=int, help="leave out classes with fewer (40; with --tiny, what episodes need)")
    add("--share-subjects", action="store_true", help="support and query may show the same subject, as published")
    add("--no-augmentation", action="store_true", help="train on images as they are")
    add("--inner-steps", type=int, default=4, help="with learned rates (%(default)s)")
    add("--inner-rate", type=float, default=0.1, help="of all weights, at first (%(default)s)")
    add("--validation-steps", type=int, default=32, help="at --inner-rate, the same for all weights (%(default)s)")
    add("--lr", type=float, default=1e-3, help="outer learning rate of Adam (%(default)s)")
    add("--batch-size", type=int, default=4, help="episodes per outer step, over all processes (%(default)s)")
    add("--epoch-steps", type=int, help="outer steps between validations; a pass through all episodes if not given")
    add("--epochs", type=int, default=100, help="at most (%(default)s)")
    add("--patience", type=int, default=5, help="stop after this many epochs without a better one (%(default)s)")
    return arguments.parse(wanted, argv, **TINY)


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Meta-train; return what training.json says."""
    args = parse(argv)
    pool, tasks = pretraining.source_pool(args)
    if args.resume and (earlier := pretraining.finished(args)) is not None:
        print(f"{args.output_dir} is finished.")
        return earlier
    if args.push_to_hub is not None:
        model_card.check_hub(args.push_to_hub)
    accelerator = runs.start(args, args.output_dir)
    rank, world, device = accelerator.process_index, accelerator.num_processes, accelerator.device
    set_seed(args.seed)

    # Episodes. The first process draws them, the others then find them.
    least = args.min_images if args.min_images is not None or args.tiny else 40
    recipe = Recipe(tuple(args.shots), args.queries, "random", least, None, not args.share_subjects)
    with accelerator.main_process_first():
        train, validation = (
            meta_training.source_episodes(args, tasks, split, recipe, n=n)
            for split, n in (("train", args.train_episodes), ("validation", args.validation_episodes))
        )
    for split, found in (("train", train), ("validation", validation)):
        accelerator.print(f"{split}: {len(found):,} episodes of {len(found.sets)} tasks")
        for reason in found.left_out.values():
            accelerator.print(f"  left out: {reason}")

    # Model. Gradients of several processes are added up by hand, below.
    model, preprocessing = models.load_backbone(args.model)
    network = backbones.Network(model.to(device), size=preprocessing.size)
    learner = maml.MetaLearner(network, args.inner_rate)
    accelerator.prepare_model(learner.state, evaluation_mode=True)  # not wrapped, but saved and loaded
    optimizer = accelerator.prepare(torch.optim.Adam(learner.parameters, lr=args.lr))
    norms = len(backbones.batch_norms(model))
    accelerator.print(f"Layers of (transductive) batch normalisation: {norms}.")
    settings = arguments.settings(args) | {"train": train.sha256, "validation": validation.sha256}

    def validate(learner: maml.MetaLearner) -> tuple[list[float], list[float]]:
        """AUROC and loss of each validation episode, solved by plain gradient descent; the same in every process."""
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
        preprocessing.save_pretrained(folder)

    progress = checkpoints.Progress(accelerator, args.output_dir, settings, patience=args.patience, resume=args.resume)
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
                torch._foreach_add_(total, gradients, alpha=1 / len(batch))
            loss, total = maml.sum_over_processes(accelerator, loss, total)
            if not np.isfinite(loss):
                raise MedIMetaError(
                    f"Outer step {step} gives {loss}: training diverged. Use a lower --inner-rate or --lr."
                )
            for parameter, gradient in zip(learner.parameters, total, strict=True):
                parameter.grad = gradient
            optimizer.step()
            train_loss += loss / steps

        # Every process gets all numbers, so all take the same decisions.
        aurocs, losses = validate(learner)
        metrics = {"auroc": float(np.mean(aurocs)), "cross_entropy": float(np.mean(losses))}
        progress.end_epoch({"train_loss": train_loss}, metrics, save)
        accelerator.log({"train_loss": train_loss, "validation_auroc": metrics["auroc"]}, step=epoch)
        accelerator.print(f"epoch {epoch:3}  query loss {train_loss:.4f}  validation AUROC {metrics['auroc']:.4f}")

    # The best epoch's backbone, as it was saved, on the validation episodes of each source.
    best, _ = models.load_backbone(str(progress.models()["auroc"]))
    aurocs, _ = validate(maml.MetaLearner(backbones.Network(best.to(device), size=preprocessing.size)))
    results = [
        Result.of_episodes(
            episodes,
            {"auroc": found},
            protocol="meta-training",
            method="mm-MAML",
            model=runs.model_name(args),
            seed=args.seed,
            settings=arguments.settings(args),
            extra={"epoch": progress.best["auroc"]["epoch"]},
        )
        for episodes, found in zip(validation.sets, np.split(np.array(aurocs), len(validation.sets)), strict=True)
    ]
    how = f"meta-trained on episodes of {len(train.sets)} tasks without {', '.join(pool.targets)}"
    left_out = {**pool.left_out, "train": train.left_out, "validation": validation.left_out}
    return pretraining.finish(args, accelerator, progress, settings, how=how, results=results, left_out=left_out)


if __name__ == "__main__":
    launch.run(main)
