"""`medimeta.bench`: encoders on many tasks. It imports torch only when it is called."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...builders.locate import DATA_VARIABLE
from ...cards.facts import Task
from ...errors import MedIMetaError, missing_extra
from ..encoders.encoder import Encoder
from .benchmark import Benchmark
from .plan import DEFAULT, SHORTCUTS, TINY_ENCODER, Plan


def bench(
    models: str | Encoder | Sequence[str | Encoder] = (),
    *,
    tasks: str | Task | Sequence[str | Task] = "main",
    protocols: str | Sequence[str] = DEFAULT,
    data_dir: str | os.PathLike[str] | None = None,
    shots: Sequence[int] | None = None,
    seeds: Sequence[int] = (0,),
    episodes: int | None = None,
    queries: int | None = None,
    min_images: int | str | None = "published",
    prompts: str | None = None,
    exclude_leaks: str | bool | None = None,
    corruptions: Sequence[str] | None = None,
    severities: Sequence[int] | None = None,
    batch_size: int | None = None,
    dtype: str = "float32",
    out: str | os.PathLike[str] = "results",
    jobs: int = 1,
    tiny: bool = False,
    say: Callable[[str], object] | None = None,
    **options: Any,
) -> Benchmark:
    """Evaluate encoders on tasks: linear probe, nearest neighbours, nearest prototype, few-shot episodes and more.

        print(medimeta.bench("microsoft/resnet-18", tasks="main", data_dir="hub").table())

    Each dataset passes each encoder once. Results that are in `out` are kept, unless settings or data have changed. A
    task that fails does not stop the others; see `Benchmark.failures`.

    Args:
        models: Names of encoders as for `medimeta.encoder`, encoders, or several of these. "shortcut" stands for
            encoders that see only the mean colour, a colour histogram, the size before resizing, or the file type.
        tasks: "main" (the main task of each dataset), "all", the id of a dataset (all its tasks), "id/task",
            "domain:NAME", a `Task`, or several of these.
        protocols: "probe", "knn", "prototype" and "retrieval" learn from the training split and are tested on the test
            split; "label-efficiency" is the probe on parts of the training split; "few-shot" solves episodes drawn from
            the whole dataset; "zero-shot" compares images with sentences, for image-text encoders. "published" is the
            follow-up study: few-shot episodes of 1 to 30 shots by its probe, and zero-shot.
        data_dir: Where the data are, as for `medimeta.load_dataset`.
        shots: Support images per class of episodes; 1, 2, 5 and 10 by default.
        seeds: Seeds; a set of episodes and an order of training subjects are drawn with each.
        episodes: Number of episodes in a set; 100 by default.
        queries: Query images per class; 10 by default.
        min_images: Episodes leave out classes with fewer images; as for `medimeta.episodes`.
        prompts: Prompt file for zero-shot; by default that of each dataset.
        exclude_leaks: Train without images that have a copy in a later split: True for the ledgers that ship with this
            package, or the file of a ledger.
        corruptions: Also evaluate test images with these corruptions, where they suit the dataset; [] for all. Only
            for "probe", "knn" and "prototype".
        severities: Severities of the corruptions; 1 to 5 by default.
        batch_size: Images per pass; by default a number that fits the device.
        dtype: "float32", or "bfloat16" for automatic mixed precision, of encoders given by name.
        out: Folder of the results: <encoder>/<dataset>/<task>/<protocol>/result.json.
        jobs: Number of processes. More than one requires encoders given by name.
        tiny: Make a quick trial: a small random encoder, miniatures if no data are given, few and small episodes.
        say: Called with lines of progress; by default they are dropped.
        **options: Further arguments of `medimeta.load_dataset`, e.g. `partial=True`.

    Returns:
        The results and the failures.

    Raises:
        UnknownName: If the task or protocol does not exist.
        MedIMetaError: If there is nothing to evaluate, or a number is out of range.
    """
    given = [models] if isinstance(models, str | Encoder) else list(dict.fromkeys(models))
    given = [name for model in given for name in (SHORTCUTS if model == "shortcut" else [model])]
    given = given or ([TINY_ENCODER] if tiny else [])
    if not given:
        raise MedIMetaError("There is no encoder to evaluate. Name at least one.")
    settings: dict[str, Any] = {"shots": shots, "seeds": list(seeds), "episodes": episodes, "queries": queries}
    settings |= {"prompts": prompts, "exclude_leaks": exclude_leaks}
    settings |= {"severities": None if severities is None else tuple(severities)}
    settings["corruptions"] = None if corruptions is None else tuple(corruptions)
    plan = Plan.of(tasks, protocols, tiny=tiny, min_images=min_images, **settings)
    names = [model for model in given if isinstance(model, str)]
    if jobs > 1 and len(names) < len(given):
        raise MedIMetaError("Other processes load encoders by name: with jobs above 1, give names only.")
    say = say or (lambda line: None)
    drawn = tiny and data_dir is None and DATA_VARIABLE not in os.environ
    say(plan.summary([model if isinstance(model, str) else model.name for model in given], drawn=drawn))
    try:
        from .processes import helpers
        from .running import Run
        from .tiny import source
    except ModuleNotFoundError as error:
        raise missing_extra(str(error.name), "train", "medimeta.bench") from error
    place: Any = data_dir
    if drawn:
        place, options = source, {**options, "partial": True}
    run = Run(plan, Path(out), say, place, options, batch_size, dtype)
    with helpers(run, names, jobs):
        for number, model in enumerate(given):
            run.encoder(number, model)
    return Benchmark(run.results, run.failures)
