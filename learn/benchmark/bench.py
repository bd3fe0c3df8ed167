"""`medimeta.bench`: encoders on many tasks. It imports torch only when it is called."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...cards.facts import Task
from ...errors import MedIMetaError, missing_extra
from ..encoders.encoder import Encoder
from .benchmark import Benchmark
from .plan import PROTOCOLS, Plan, chosen_tasks


def bench(
    models: str | Encoder | Sequence[str | Encoder],
    *,
    tasks: str | Task | Sequence[str | Task] = "main",
    protocols: str | Sequence[str] = PROTOCOLS,
    data_dir: str | os.PathLike[str] | None = None,
    shots: Sequence[int] = (1, 2, 5, 10),
    seeds: Sequence[int] = (0,),
    episodes: int = 100,
    queries: int = 10,
    min_images: int | str | None = "published",
    batch_size: int = 32,
    dtype: str = "float32",
    out: str | os.PathLike[str] = "results",
    say: Callable[[str], object] | None = None,
    **options: Any,
) -> Benchmark:
    """Evaluate encoders on tasks: linear probe, nearest neighbours, nearest prototype, few-shot episodes.

        print(medimeta.bench("microsoft/resnet-18", tasks="main", data_dir="hub").table())

    Each dataset passes each encoder once. Results that are in `out` are kept, unless settings or data have changed. A
    task that fails does not stop the others; see `Benchmark.failures`.

    Args:
        models: Names of encoders as for `medimeta.encoder`, encoders, or several of these.
        tasks: "main" (the main task of each dataset), "all", the id of a dataset (all its tasks), "id/task",
            "domain:NAME", a `Task`, or several of these.
        protocols: "probe", "knn" and "prototype" learn from the training split and are tested on the test split;
            "few-shot" solves episodes drawn from the whole dataset, by prototypes and by logistic regression.
        data_dir: Where the data are, as for `medimeta.load_dataset`.
        shots: Support images per class of episodes.
        seeds: A set of episodes is drawn with each.
        episodes: Number of episodes in a set.
        queries: Query images per class.
        min_images: Which classes episodes leave out, as for `medimeta.episodes`.
        batch_size: Images per pass.
        dtype: "float32", or "bfloat16" for automatic mixed precision, of encoders given by name.
        out: Folder of the results: <encoder>/<dataset>/<task>/<protocol>/result.json.
        say: Called with lines that say what will be done and what has been; by default nothing is said.
        **options: Further arguments of `medimeta.load_dataset`, e.g. `partial=True`.

    Raises:
        UnknownName: If there is no such task or protocol.
        MedIMetaError: If there is nothing to evaluate, or a number is out of range.
    """
    given = [models] if isinstance(models, str | Encoder) else list(dict.fromkeys(models))
    if not given:
        raise MedIMetaError("There is no encoder to evaluate. Name at least one.")
    plan = Plan(
        chosen_tasks(tasks),
        (protocols,) if isinstance(protocols, str) else tuple(dict.fromkeys(protocols)),
        tuple(dict.fromkeys(shots)),
        tuple(dict.fromkeys(seeds)),
        episodes,
        queries,
        min_images,
    )
    say = say or (lambda line: None)
    say(plan.summary([model if isinstance(model, str) else model.name for model in given]))
    try:
        from .running import Run
    except ModuleNotFoundError as error:
        raise missing_extra(str(error.name), "train", "medimeta.bench") from error
    run = Run(plan, Path(out), say, data_dir, options, batch_size, dtype)
    for model in given:
        run.encoder(model)
    return Benchmark(tuple(run.results), tuple(run.failures))
