"""Results in the Hub's format: `.eval_results/*.yaml` in a model repository, which the Hub shows on leaderboards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

import yaml

from ...cards.benchmark import SPLIT, task_id
from ...cards.catalogue import DATASETS
from ...errors import MedIMetaError, MissingExtra, some
from .results import Result

FOLDER = ".eval_results"
FILE = f"{FOLDER}/medimeta.yaml"
METRIC = "auroc"


def render(
    results: Sequence[Result],
    benchmark: str,
    *,
    revision: str | None = None,
    source: str | None = None,
    partial: bool = False,
) -> str:
    """Return the text of a file in `.eval_results`, with one entry per task.

    Seeds of one method are averaged. The value is the AUROC of the test split, from 0 to 1.

    Args:
        results: Results of one model.
        benchmark: The dataset repository, "<namespace>/<name>".
        revision: Commit of the dataset repository that was evaluated.
        source: URL of the evaluation, e.g. of a repository with logs.
        partial: Whether some data were incomplete; the notes then mention it.

    Raises:
        MedIMetaError: If a result is not of a test split or has no AUROC, or results of a task differ in protocol or
            method.
        MissingExtra: If the installed huggingface_hub does not support the format.
    """
    try:
        from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml
    except ImportError:
        raise MissingExtra(
            "Writing .eval_results needs huggingface_hub 1.5 or newer. Upgrade it: pip install -U huggingface_hub"
        ) from None
    groups: defaultdict[str, list[Result]] = defaultdict(list)
    for result in results:
        if result.split != SPLIT or result.metrics.get(METRIC) is None or result.metrics[METRIC].value is None:
            raise MedIMetaError(
                f"The result of {result.dataset} / {result.task} ({result.protocol}, split {result.split}) cannot be "
                f"on a leaderboard: it needs {METRIC} on the {SPLIT} split. Leave it out of --from."
            )
        groups[task_id(DATASETS[result.dataset].task(result.task))].append(result)
    order = [task_id(task) for card in DATASETS.values() for task in card.tasks]
    entries = [
        EvalResultEntry(
            dataset_id=benchmark,
            task_id=name,
            value=round(fmean(float(r.metrics[METRIC].value or 0) for r in groups[name]), 6),
            dataset_revision=revision,
            source_url=source,
            notes=_notes(name, groups[name], partial=partial),
        )
        for name in sorted(groups, key=order.index)
    ]
    return yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False, allow_unicode=True, width=100)


def _notes(name: str, results: Sequence[Result], *, partial: bool) -> str:
    """Describe how a value was measured."""
    kinds = sorted({f"{result.protocol}, {result.method}" for result in results})
    if len(kinds) > 1:
        raise MedIMetaError(
            f"{name} has results of different methods: {some(kinds)}. Give results of one of them in --from."
        )
    measured = results[0].metrics[METRIC]
    seeds = f"mean of {len(results)} runs" if len(results) > 1 else ""
    interval = "" if seeds or measured.low is None else f"95% interval {measured.low:.4f} to {measured.high:.4f}"
    incomplete = partial or any(result.settings.get("partial") for result in results)
    parts = [f"AUROC; {kinds[0]}", seeds, interval, "INCOMPLETE DATA, not comparable" if incomplete else ""]
    return "; ".join(part for part in parts if part)
