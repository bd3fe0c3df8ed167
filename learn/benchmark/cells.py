"""Cells: one protocol with one setting on one task, each a `Result` in its own folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...cards.facts import SPLITS, Task
from ...files.json_values import plain
from ..encoders.prompts import prompts_of
from ..episodes.episode_set import EpisodeSet
from ..episodes.rows import pool_sizes
from ..episodes.sampler import sample_episodes
from ..evaluation.results import Result, few_shot_protocol
from .answers import Answers
from .data import WHOLE, Encoded
from .plan import Plan
from .protocols import efficiency, few_shot
from .protocols.retrieval import retrieval
from .protocols.supervised import NAMES, SETTINGS, answer
from .protocols.zero_shot import takes_text, zero_shot_scores


@dataclass(frozen=True)
class Cell:
    """One evaluation of the benchmark, which gives one result.

    Attributes:
        name: Name of the cell in messages.
        folder: Folder of the result, below that of the task.
        settings: All settings, as the result reports them.
        data: Hash of the data, kept in the result's `extra`.
        measure: Function that evaluates, called with `settings`.
    """

    name: str
    folder: str
    settings: dict[str, Any]
    data: str
    measure: Callable[..., Result]

    def finished(self, path: Path) -> Result | None:
        """Return the result of an earlier run with the same settings on the same data; None if there is none.

        Raises:
            MedIMetaError: If the file exists and is not a result.
        """
        if not path.exists():
            return None
        result = Result.load(path)
        same = result.settings == plain(self.settings) and result.extra.get("data") == self.data
        return result if same else None


def cells_of(plan: Plan, task: Task, encoded: Encoded) -> Iterator[Cell]:
    """Yield the cells of a task; nothing is encoded yet.

    Args:
        plan: The plan of the benchmark. Zero-shot is left out for encoders that take no text.
        task: The task.
        encoded: The dataset of the task.

    Raises:
        MedIMetaError: If the data cannot be read.
    """
    name, data = encoded.encoder.name, encoded.sha256(task)
    common: dict[str, Any] = {**encoded.encoder.identity()}
    common["preprocessing"] = common.pop("transform")
    if plan.exclude_leaks:
        common["exclude_leaks"] = plan.exclude_leaks
    about: dict[str, Any] = {"method": name, "model": name}
    for protocol in plan.protocols:
        if protocol == "few-shot":
            yield from _few_shot(plan, task, encoded, data, common)
        elif protocol == "label-efficiency":
            yield from _efficiency(plan, task, encoded, data, common)
        elif protocol == "zero-shot":
            if takes_text(encoded.encoder):
                settings = {**common, "prompts_sha256": prompts_of(task, file=plan.prompts).sha256}
                measure = partial(_zero_shot, task, encoded, plan.prompts, data, protocol=protocol, **about)
                yield Cell(protocol, protocol, settings, data, measure)
        else:
            corrupted = plan.corrupted(task.dataset) if encoded.corruptible and protocol != "retrieval" else []
            answers = Answers(task, encoded, protocol, corrupted)
            settings = {**common, **SETTINGS[protocol]}
            measure = partial(_split, task, encoded, protocol, data, protocol=NAMES[protocol], answers=answers, **about)
            yield Cell(protocol, protocol, settings, data, measure)
            for name, severity in corrupted:
                yield Cell(
                    f"{protocol}, {name} {severity}",
                    f"{protocol}/{name}-{severity}",
                    {**settings, "corruption": name, "severity": severity},
                    data,
                    partial(measure, corruption=(name, severity)),
                )


def _few_shot(plan: Plan, task: Task, encoded: Encoded, data: str, common: dict[str, Any]) -> Iterator[Cell]:
    name = encoded.encoder.name
    drawn = {"episodes": plan.episodes, "queries": plan.queries, "min_images": plan.min_images}
    for shots in plan.shots:
        for seed in plan.seeds:
            episodes = _Drawn(plan, task, encoded, shots, seed)
            for solver in plan.solvers:
                about = {"method": f"{name}, {solver}", "model": name, "seed": seed}
                yield Cell(
                    f"{shots} shots, {solver}, seed {seed}",
                    f"few-shot/{shots}-shots-{solver.replace(' ', '-')}-seed-{seed}",
                    {**common, **few_shot.SETTINGS[solver], **drawn},
                    data,
                    partial(_episodes, encoded, episodes, solver, data, **about),
                )


def _efficiency(plan: Plan, task: Task, encoded: Encoded, data: str, common: dict[str, Any]) -> Iterator[Cell]:
    name = encoded.encoder.name
    for fraction in plan.fractions:
        for seed in plan.seeds if fraction < 1 else [None]:
            share = f"{100 * fraction:g} % of train"
            about: dict[str, Any] = {
                "protocol": f"{NAMES['probe']}, {share}",
                "method": name,
                "model": name,
                "seed": seed,
            }
            yield Cell(
                share if seed is None else f"{share}, seed {seed}",
                f"label-efficiency/{100 * fraction:g}-percent" + ("" if seed is None else f"-seed-{seed}"),
                {**common, **SETTINGS["probe"], "fraction": fraction, "drawn": efficiency.ORDER},
                data,
                partial(_split, task, encoded, "probe", data, fraction, **about),
            )


class _Drawn:
    """A set of episodes, drawn on first use and shared by all solvers."""

    def __init__(self, plan: Plan, task: Task, encoded: Encoded, shots: int, seed: int) -> None:
        self._plan, self._task, self._encoded, self._shots, self._seed = plan, task, encoded, shots, seed
        self._set: EpisodeSet | None = None

    def episodes(self) -> EpisodeSet:
        if self._set is None:
            rows, recipe = self._encoded.whole, self._plan.recipe(self._shots)
            settings: dict[str, Any] = {"n": self._plan.episodes, "seed": self._seed, "split": WHOLE}
            self._set = sample_episodes(rows, self._task, recipe, totals=pool_sizes(rows, self._task), **settings)
        return self._set


def _split(
    task: Task,
    encoded: Encoded,
    solver: str,
    data: str,
    fraction: float = 1.0,
    *,
    answers: Answers | None = None,
    corruption: tuple[str, int] | None = None,
    seed: int | None = None,
    **about: Any,
) -> Result:
    parts = {split: encoded.part(task, split) for split in SPLITS}
    if solver == "retrieval":
        return retrieval(task, parts["train"], parts["test"], encoded.rows["test"], **about, extra={"data": data})
    if fraction < 1:
        subjects = encoded.subjects(task, "train")
        rows = efficiency.subset(parts["train"].labels, subjects, fraction, seed=seed or 0)
        parts["train"] = parts["train"].take(rows)
    if answers is None:
        scores, notes = answer(solver, task, parts["train"], parts["validation"], parts["test"].features)
    else:
        scores, notes = answers.to(corruption)
    extra = {**notes, "images": {split: int(part.known.sum()) for split, part in parts.items()}, "data": data}
    return Result.of_scores(task, scores, encoded.rows["test"], split="test", seed=seed, **about, extra=extra)


def _zero_shot(task: Task, encoded: Encoded, prompts: str | None, data: str, **about: Any) -> Result:
    scores = zero_shot_scores(task, encoded.encoder, encoded.features["test"], prompts)
    asked = prompts_of(task, file=prompts)
    extra = {"prompts": {"shows": asked.shows, "lacks": asked.lacks}, "data": data}
    return Result.of_scores(task, scores, encoded.rows["test"], split="test", **about, extra=extra)


def _episodes(encoded: Encoded, drawn: _Drawn, solver: str, data: str, **about: Any) -> Result:
    episodes = drawn.episodes()
    scores = few_shot.solve_episodes(episodes, encoded.whole_features, solver)
    protocol = few_shot_protocol(episodes)
    return Result.of_episode_scores(episodes, scores, protocol=protocol, **about, extra={"data": data})
