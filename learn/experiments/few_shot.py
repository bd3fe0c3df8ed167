"""Solve few-shot episodes of one task with a pre-trained backbone, by the published protocol.

    python few_shot.py --dataset pbc --model microsoft/resnet-18 --output-dir runs/pbc
    python few_shot.py --dataset pbc --model runs/maml/model --methods probe --shots 1 2 5 10 30 --output-dir runs/curve

Every episode starts from the backbone as it was loaded and a new head of zeros. Query images are never augmented, and
never seen before they are answered. All settings of a grid are reported: to choose one by these numbers would be to
tune on the test episodes. The number of processes changes how fast a run is, not what it computes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

from accelerate.utils import gather_object, set_seed
from tqdm import tqdm

from ..data.pixels import pixels
from ..encoders import backbones, models
from ..evaluation.results import Result, few_shot_protocol
from ..few_shot import adapt as few_shot
from ..few_shot import targets
from ..few_shot.curves import plot_shots
from ..few_shot.solver import Solver
from ..training import arguments, launch, runs
from ..training.records import Records


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = arguments.parser(__doc__)
    targets.add_target(parser)
    targets.add_recipe(parser, shots=[5])
    add = parser.add_argument
    add("--name", help="what results call the backbone, e.g. mm-MAML; the checkpoint if not given")
    add("--methods", nargs="+", choices=few_shot.METHODS, default=few_shot.METHODS, help="all if not given")
    add("--lr", type=float, nargs="+", default=[1e-3, 1e-2], help="learning rates of Adam (%(default)s)")
    add("--steps", type=int, nargs="+", default=[50, 100], help="steps after which to answer (%(default)s)")
    add("--augmentation", action="store_true", help="fine-tuning: augment the support set, anew in each step")
    add("--chunk", type=int, default=64, help="images that pass the model at once (%(default)s)")
    return arguments.parse(parser, argv)


def main(argv: Sequence[str] | None = None) -> list[Result]:
    """Solve all episodes by all methods; return a result per method, number of shots and setting."""
    args = parse(argv)
    accelerator = runs.start(args, args.output_dir)
    rank, world = accelerator.process_index, accelerator.num_processes
    set_seed(args.seed)

    # Data. The first process prepares the dataset and its pixels, the others then find them prepared.
    with accelerator.main_process_first():
        task, rows, sets = targets.load_target(args)
        sets = sets or targets.draw_episodes(args, task, rows)
        images = pixels(rows, store=not args.no_store)
    accelerator.print("\n".join(episodes.summary() for episodes in sets))

    # Model.
    model, preprocessing = models.load_backbone(args.model)
    settings = {"seed": args.seed, "augmentation": args.augmentation, "chunk": args.chunk}
    identity = {"weights": backbones.weights_sha256(model), "mixed_precision": args.mixed_precision, **settings}
    network = backbones.Network(model.to(accelerator.device), size=preprocessing.size)
    solver = Solver(
        network, preprocessing, images, sets, lrs=args.lr, steps=args.steps, autocast=accelerator.autocast, **settings
    )

    # Every episode is solved once, by one process; what an interrupted run has solved is not solved again.
    place = args.output_dir / "progress"
    if accelerator.is_main_process:
        Records.prepare(place, identity | {"episodes": [one.sha256 for one in sets]}, resume=args.resume)
    accelerator.wait_for_everyone()
    records = Records(place, rank)
    units = solver.units(args.methods)
    todo = [unit for unit in units if not set(solver.keys(unit)) <= records.found.keys()]
    accelerator.wait_for_everyone()  # all have read before any writes
    features = partial(tqdm, desc="features", disable=runs.quiet())
    if any(unit.method != "finetune" for unit in todo):
        solver.cache_features(rank, world, lambda part: accelerator.reduce(part, "sum"), features)
    for unit in tqdm(todo[rank::world], desc="episodes", disable=runs.quiet()):
        records.add(solver.solve(unit))
    done = records.found | dict(gather_object(records.added))

    # One result per cell of the grid, and one picture of all.
    found, points = [], []
    for cell in dict.fromkeys(key._replace(episode=0) for unit in units for key in solver.keys(unit)):
        episodes, shots = sets[cell.set], sets[cell.set].shots
        metrics = [done[cell._replace(episode=number)] for number in range(len(episodes))]
        setting = "" if cell.method == "prototype" else f", lr {cell.lr:g}, {cell.steps} steps"
        result = Result.of_episodes(
            episodes,
            {name: [one[name] for one in metrics] for name in metrics[0]},
            protocol=few_shot_protocol(episodes),
            method=f"{args.name or runs.model_name(args)}, {cell.method}{setting}",
            model=runs.model_name(args),
            seed=args.seed,
            settings=identity | {"method": cell.method, "lr": cell.lr, "steps": cell.steps},
        )
        auroc = result.metrics["auroc"]
        accelerator.print(f"{shots} shots  {cell.method}{setting}: AUROC {auroc}")
        accelerator.log({f"{cell.method}{setting} auroc": auroc.value}, step=int(shots.rpartition("-")[2]))
        found.append(result)
        points.append((f"{cell.method}{setting}", shots, auroc))
        if accelerator.is_main_process:
            folder = args.output_dir / f"{shots}-shots" / f"{cell.method}{setting}".replace(", ", "-").replace(" ", "-")
            folder.mkdir(parents=True, exist_ok=True)
            result.save(folder / "result.json")
    if accelerator.is_main_process:
        title = f"{task.dataset}, {task.name}: {args.name or runs.model_name(args)}"
        plot_shots(points, title, args.output_dir / "shots.png")
    runs.end_trackers(accelerator)
    return found


if __name__ == "__main__":
    launch.run(main)
