"""Zero-shot classification with a CLIP-style model, on a split or on few-shot episodes: `medimeta zero-shot`.

Sentences are used only for the evaluated classes: all classes of the task, or those of each episode, which may have
fewer. On the same episodes, the numbers are comparable with those of `medimeta few-shot`; support images are not used.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import set_seed
from tqdm import tqdm

from ...cards.facts import Task
from ..data.pixels import pixels
from ..encoders import prompts
from ..encoders.clip import load_zero_shot
from ..encoders.network import pixel_values
from ..episodes.recipe import task_of
from ..evaluation.results import FILE, Result, few_shot_protocol
from ..few_shot import adapt, problems, targets
from ..training import launch, runs
from ..training.arguments import model_name


def run(args: argparse.Namespace) -> list[Result]:
    """Evaluate a model, and return a result for the split, or one for each file of episodes."""
    accelerator = runs.start(args, args.output_dir)
    rank, world, device = accelerator.process_index, accelerator.num_processes, accelerator.device
    set_seed(args.seed)

    # Data. The first process prepares the dataset and its pixels for all.
    with accelerator.main_process_first():
        task, rows, sets = targets.load_target(args)
        images = pixels(rows, store=not args.no_store)
    model = load_zero_shot(args.model)
    preprocessing = model.backbone.to(device).transform
    templates = _templates(args, task)

    # The vectors of all images to classify. Processes take whole blocks, so that their number does not change results;
    # every row comes from one process and is zero in the others.
    used = sorted({row for episodes in sets for one in episodes for row in one.query.tolist()}) or range(len(rows))
    places = {row: place for place, row in enumerate(used)}
    parts = []
    for first in tqdm(range(0, len(used), args.chunk)[rank::world], desc="images", disable=runs.quiet()):
        block = list(used[first : first + args.chunk])
        values = pixel_values(images.take(block), preprocessing, device)
        parts.append((first, adapt.passed(model.images, values, 0, accelerator.autocast)))
    vectors = torch.zeros(len(used), model.width, device=device)
    for first, part in parts:
        vectors[first : first + len(part)] = part
    vectors = launch.summed(accelerator, vectors)

    name = model_name(args, kind="CLIP")
    about: dict[str, Any] = {
        "model": name,
        "method": args.name or f"{name}, zero-shot",
        "seed": args.seed if args.model is None else None,
        "settings": {
            "prompts_sha256": prompts.prompts_of(task, templates, file=args.prompts).sha256,
            **{name: getattr(args, name) for name in ("labels", "mixed_precision")},
        },
    }
    results = []
    if not sets:
        asked = prompts.prompts_of(task, templates, file=args.prompts)
        accelerator.print(*(sentence for label in asked.shows for sentence in label), sep="\n")
        scores = problems.probabilities(task, model.logits(task, vectors, asked))
        results.append(Result.of_scores(task, scores, rows, split=args.split, protocol="zero-shot", **about))
    for episodes in sets:
        answers = []
        for episode in episodes:
            posed = task_of(task, episode.classes)
            here = vectors[[places[row] for row in episode.query.tolist()]]
            logits = model.logits(posed, here, prompts.prompts_of(posed, templates, file=args.prompts))
            answers.append(problems.probabilities(posed, logits))
        protocol = few_shot_protocol(episodes)
        results.append(Result.of_episode_scores(episodes, answers, rows, protocol=protocol, **about))
    if accelerator.is_main_process:
        for number, result in enumerate(results):
            folder = args.output_dir / (f"{sets[number].shots}-shots" if sets else args.split)
            result.save(folder / FILE)
    for result in results:
        accelerator.print(f"{result.protocol}: AUROC {result.metrics['auroc']}, accuracy {result.metrics['accuracy']}")
        accelerator.log({f"{result.protocol} auroc": result.metrics["auroc"].value})
    runs.end_trackers(accelerator)
    return results


def _templates(args: argparse.Namespace, task: Task) -> prompts.Templates | None:
    """Return the sentences of the command line, or None where it has none."""
    if args.shows is None and args.lacks is None:
        return None
    own = prompts.wording_of(task.dataset, args.prompts and Path(args.prompts)).templates
    return prompts.Templates(tuple(args.shows or own.shows), tuple(args.lacks or own.lacks))
