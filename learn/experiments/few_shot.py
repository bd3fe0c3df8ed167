"""Few-shot episodes of one task, solved with a pre-trained backbone by the published protocol: `medimeta few-shot`.

Every episode starts from the backbone as it was loaded and a new head of zeros. Query images are never augmented, and
are not used in training. All settings of a grid are reported: choosing one by these numbers would be tuning on the test
episodes. The number of processes changes the speed of a run, not its results.
"""

from __future__ import annotations

import argparse
from functools import partial

from accelerate.utils import gather_object, set_seed
from tqdm import tqdm

from ...cards.facts import SPLITS
from ...cards.split_names import split_names
from ..data.pixels import pixels
from ..encoders import models, network
from ..episodes.episode_set import EpisodeSet
from ..evaluation.results import FILE, Result, few_shot_protocol
from ..few_shot import targets
from ..few_shot.curves import plot_shots
from ..few_shot.problems import unpacked
from ..few_shot.solver import Key, Solver
from ..training import launch, runs
from ..training.arguments import model_name
from ..training.records import Records

PUBLISHED_TABLE = {"method": "finetune", "lr": 1e-3, "steps": 50}  # the cell of the grid in the published table


def run(args: argparse.Namespace) -> list[Result]:
    """Solve all episodes by all methods; return a result per method, number of shots and setting."""
    accelerator = runs.start(args, args.output_dir)
    rank, world = accelerator.process_index, accelerator.num_processes
    set_seed(args.seed)

    # Data. The first process prepares the dataset and its pixels for all.
    with accelerator.main_process_first():
        task, rows, sets = targets.load_target(args)
        sets = sets or targets.draw_episodes(args, task, rows)
        images = pixels(rows, store=not args.no_store)
    accelerator.print("\n".join(episodes.summary() for episodes in sets))

    # Model.
    model = models.load_backbone(args.model)
    settings = {"seed": args.seed, "augmentation": args.augmentation, "chunk": args.chunk}
    identity = {
        "weights": network.weights_sha256(model),
        "preprocessing": model.transform.as_dict(),
        "mixed_precision": args.mixed_precision,
        **settings,
    }
    headed = network.Network(model.to(accelerator.device))
    solver = Solver(
        headed, model.transform, images, sets, lrs=args.lr, steps=args.steps, autocast=accelerator.autocast, **settings
    )

    # Every episode is solved once, by one process, and not again after an interruption.
    folder = args.output_dir / "progress"
    if accelerator.is_main_process:
        Records.prepare(
            folder,
            identity | {"episodes": [one.sha256 for one in sets], "records": "probabilities"},
            resume=args.resume,
        )
    accelerator.wait_for_everyone()
    records = Records(folder, rank)
    units = solver.units(args.methods)
    todo = [unit for unit in units if not set(solver.keys(unit)) <= records.known.keys()]
    accelerator.wait_for_everyone()  # all have read before any writes
    features = partial(tqdm, desc="features", disable=runs.quiet())
    if any(unit.method != "finetune" for unit in todo):
        solver.cache_features(rank, world, partial(launch.summed, accelerator), features)
    for unit in tqdm(todo[rank::world], desc="episodes", disable=runs.quiet()):
        records.add(solver.solve(unit))
    done = records.known | dict(gather_object(records.added))

    # One result per cell of the grid, and one picture of all.
    name = args.name or model_name(args)
    results, points = [], []
    for cell in dict.fromkeys(key._replace(episode=0) for unit in units for key in solver.keys(unit)):
        episodes, shots = sets[cell.set], sets[cell.set].shots
        scores = [unpacked(done[cell._replace(episode=number)]) for number in range(len(episodes))]
        setting = "" if cell.method == "prototype" else f", lr {cell.lr:g}, {cell.steps} steps"
        mark = " (published)" if is_published(episodes, cell) else ""
        result = Result.of_episode_scores(
            episodes,
            scores,
            rows,
            protocol=few_shot_protocol(episodes),
            method=f"{name}, {cell.method}{setting}{mark}",
            model=model_name(args),
            seed=args.seed,
            settings=identity
            | {"method": cell.method, "lr": cell.lr, "steps": cell.steps, "labels": args.labels}
            | ({} if args.exclude_leaks is None else {"exclude_leaks": args.exclude_leaks}),
        )
        auroc = result.metrics["auroc"]
        accelerator.print(f"{shots} shots  {cell.method}{setting}: AUROC {auroc}")
        accelerator.log({f"{cell.method}{setting} auroc": auroc.value}, step=int(shots.rpartition("-")[2]))
        results.append(result)
        points.append((f"{cell.method}{setting}", shots, auroc))
        if accelerator.is_main_process:
            place = args.output_dir / f"{shots}-shots" / f"{cell.method}{setting}".replace(", ", "-").replace(" ", "-")
            result.save(place / FILE)
    if accelerator.is_main_process:
        plot_shots(points, f"{task.dataset}, {task.name}: {name}", args.output_dir / "shots.png")
    runs.end_trackers(accelerator)
    return results


def is_published(episodes: EpisodeSet, cell: Key) -> bool:
    """Return whether a cell of the grid is that of the published table, on episodes as published.

    One difference is allowed: support and query share no subject here, where subjects are known; in published sets they
    may.
    """
    recipe = episodes.about["recipe"]
    drawn = (recipe["shots"], recipe["queries"], recipe["min_images"], len(episodes))
    whole = set(split_names(episodes.split)) == set(SPLITS)
    setting = {"method": cell.method, "lr": cell.lr, "steps": cell.steps}
    return whole and drawn == (5, 10, "published", 100) and setting == PUBLISHED_TABLE
