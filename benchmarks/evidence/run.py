"""What encoders reach on complete real datasets: run `medimeta.bench` and write benchmarks/results.

    python benchmarks/evidence/run.py --bus hub --pbc pbc

`--bus` is a Hub folder (`medimeta build bus`) or the raw archive of bus, `--pbc` the raw source of pbc, complete or a
part of it. The encoders are those of backbones.py and the shortcuts. Only numbers, tables and curves are
written: no image.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import medimeta
from medimeta.learn.benchmark.plan import SHORTCUTS
from medimeta.learn.evaluation.comparing.result_table import markdown_head, markdown_row
from medimeta.learn.evaluation.results import results

HERE = Path(__file__).parent
BACKBONES = ("imagenet", "untrained", "vit")
NAMES = (*BACKBONES, *SHORTCUTS)
PROTOCOLS = ("probe", "knn", "prototype", "few-shot", "label-efficiency", "retrieval")
WHOLE = "train+validation+test"
SHOTS = (1, 2, 3, 5, 7, 10, 15, 20, 25, 30)
SHOWN = (  # columns of the short table: task, protocol, split, solver, heading
    ("bus / case category", "linear probe", "test", "", "bus, probe on all images"),
    ("bus / case category", "few-shot, 1 shots", WHOLE, "prototype", "bus, 1 image per class"),
    ("bus / case category", "few-shot, 5 shots", WHOLE, "prototype", "bus, 5 per class"),
    ("bus / case category", "few-shot, 30 shots", WHOLE, "prototype", "bus, 30 per class"),
    ("pbc / cell class", "linear probe", "test", "", "pbc, probe on all images"),
    ("pbc / cell class", "few-shot, 5 shots", WHOLE, "prototype", "pbc, 5 per class"),
    ("pbc / cell class", "few-shot, 5 shots", "test", "prototype", "pbc, 5 per class: prototype"),
    ("pbc / cell class", "few-shot, 5 shots", "test", "logistic regression", "pbc, 5 per class: logistic regression"),
)


def short_table(done: medimeta.Benchmark) -> str:
    """Return encoders down and a few protocols across: AUROC with its 95 % interval."""
    cells = {
        (f"{result.dataset} / {result.task}", result.protocol, result.split, result.method): result.metrics.get("auroc")
        for _, result in done.results
    }
    models = list(dict.fromkeys(result.model for _, result in done.results))
    shown = [
        (heading, [cells.get((*place, f"{model}, {solver}" if solver else model)) for model in models])
        for *place, solver, heading in SHOWN
    ]
    shown = [(heading, column) for heading, column in shown if any(column)]
    lines = markdown_head(["encoder", *(heading for heading, _ in shown)])
    for number, model in enumerate(models):
        lines.append(markdown_row([model, *("" if not column[number] else str(column[number]) for _, column in shown)]))
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the benchmarks and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bus", type=Path, required=True)
    parser.add_argument("--pbc", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/evidence"), help="folder of the single results")
    parser.add_argument("--out", type=Path, default=HERE.parent / "results")
    parser.add_argument("--encoders", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--datasets", nargs="+", choices=("bus", "pbc"), default=("bus", "pbc"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--episodes", type=int, default=100)
    arguments = parser.parse_args()
    encoders = [f"{HERE / 'backbones.py'}:{name}" if name in BACKBONES else name for name in arguments.encoders]
    failures = []
    for dataset in arguments.datasets:
        done = medimeta.bench(
            encoders,
            tasks=dataset,
            protocols=PROTOCOLS,
            data_dir=getattr(arguments, dataset),
            shots=SHOTS,
            episodes=arguments.episodes,
            out=arguments.work,
            jobs=arguments.jobs,
            say=print,
            partial=True,
            batch_size=8,
        )
        failures += done.failures
    if set(arguments.encoders) != set(NAMES):
        return
    order = {model: number for number, model in enumerate(_names())}
    loaded = sorted(results([arguments.work]), key=lambda one: order[one[1].model])
    done = medimeta.Benchmark(tuple(loaded), tuple(failures))
    shutil.rmtree(arguments.out / "figures", ignore_errors=True)
    done.report(arguments.out, title="Encoders on complete bus and 2,999 images of pbc")
    (arguments.out / "summary.md").write_text(short_table(done), encoding="utf-8")
    print(short_table(done))


def _names() -> list[str]:
    import backbones

    return [*(getattr(backbones, name)().name for name in BACKBONES), *SHORTCUTS]


if __name__ == "__main__":
    main()
