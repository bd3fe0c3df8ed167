"""Compare methods over many tasks: mean ranks and significance tests.

The tasks of one dataset, and of datasets that share subjects, are not independent. So a *unit* is a dataset together
with those that share subjects with it, and counts once, with the mean of a method over its tasks. The procedure is that
of Demsar (JMLR 2006), with Wilcoxon's test instead of Nemenyi's for pairs (Benavoli et al., JMLR 2016), so that the
result for two methods does not depend on which other methods are in the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, cast

import numpy as np

from ....cards.catalogue import DATASETS
from ....errors import MedIMetaError
from ..measures.intervals import Measured, ends
from ..measures.metrics import SMALLER_IS_BETTER
from .result_table import ResultTable, markdown_head, markdown_row

ALPHA = 0.05
FEW = 10  # units, below which intervals of mean ranks are too narrow
LEAST = 6  # units: with fewer, Wilcoxon's test cannot give a p-value below 0.05
RESAMPLES = 2000


@dataclass(frozen=True)
class Pair:
    """Two methods compared over units.

    Attributes:
        first: The method with the better mean rank.
        second: The other one.
        wins: Units on which the first is better.
        ties: Units on which they are equal.
        losses: Units on which the second is better.
        p: p-value of Wilcoxon's signed-rank test, two-sided.
        adjusted: The same, after Holm's correction for the number of pairs.
    """

    first: str
    second: str
    wins: int
    ties: int
    losses: int
    p: float
    adjusted: float


@dataclass(frozen=True)
class Standing:
    """Methods compared over the tasks of a table.

    Attributes:
        metric: Metric of the comparison.
        units: The datasets of each unit.
        tasks: Number of tasks that all methods have.
        left_out: Tasks that some method lacks.
        ranks: Mean rank of each method over units, best first (1 is the best), with a 95 % interval by a percentile
            bootstrap over units. In simulations it contains the expected rank in 94 % of cases with 10 and 15 units,
            and in 90 % with 6.
        friedman: p-value of Friedman's test with the correction of Iman and Davenport, that all methods are equal;
            NaN for two methods.
        pairs: All pairs of methods, in the order of `ranks`.
    """

    metric: str
    units: tuple[tuple[str, ...], ...]
    tasks: int
    left_out: tuple[str, ...]
    ranks: dict[str, Measured]
    friedman: float
    pairs: tuple[Pair, ...]

    def markdown(self) -> str:
        """Return ranks and pairs as Markdown, with notes that explain them."""
        lines = [f"#### Over {self.tasks} tasks of {len(self.units)} units, by {self.metric}", ""]
        lines += markdown_head(["method", "mean rank"])
        for method, rank in self.ranks.items():
            lines.append(markdown_row([method, f"{rank.value:.2f} [{rank.low:.2f}, {rank.high:.2f}]"]))
        lines += ["", *markdown_head(["pair", "wins", "ties", "losses", "p", "p, Holm"])]
        for pair in self.pairs:
            bold = "**" if pair.adjusted < ALPHA else ""
            counts = [str(count) for count in (pair.wins, pair.ties, pair.losses)]
            ps = [_shown(pair.p), f"{bold}{_shown(pair.adjusted)}{bold}"]
            lines.append(markdown_row([f"{pair.first} - {pair.second}", *counts, *ps]))
        return "\n".join([*lines, "", *(f"* {note}" for note in self._notes())]) + "\n"

    def _notes(self) -> list[str]:
        joint = [" + ".join(unit) for unit in self.units if len(unit) > 1]
        notes = [
            "A dataset counts once, with the mean over its tasks"
            + (f"; so do datasets that share subjects: {', '.join(joint)}." if joint else ".")
        ]
        if not np.isnan(self.friedman):
            notes.append(
                f"All methods equal: p {_shown(self.friedman)} (Friedman's test, corrected by Iman and Davenport)."
            )
        notes.append("Pairs: Wilcoxon's signed-rank test, two-sided; p below 0.05 after Holm's correction is bold.")
        if len(self.units) < LEAST:
            notes.append(f"{len(self.units)} units are too few for a significant difference; at least {LEAST} needed.")
        if len(self.units) < FEW:
            notes.append(f"With fewer than {FEW} units, intervals of mean ranks are too narrow.")
        if self.left_out:
            notes.append(f"Left out, since some method lacks them: {', '.join(self.left_out)}.")
        return notes


def standing(table: ResultTable, *, seed: int = 0) -> Standing:
    """Compare the methods of a table over the tasks that all of them have.

    Args:
        table: Results of one protocol and split; tasks are called "dataset / task".
        seed: Seed of the bootstrap.

    Raises:
        MedIMetaError: If there are fewer than two methods, or fewer than two units with values of all methods.
    """
    methods = table.methods
    values: dict[str, list[float]] = {}
    for task in table.tasks:
        cells = [table.cells.get((method, task)) for method in methods]
        row = [np.nan if cell is None or cell.measured.value is None else cell.measured.value for cell in cells]
        if not np.isnan(row).any():
            values[task] = row
    units = units_of([task.partition(" / ")[0] for task in values])
    if len(methods) < 2 or len(units) < 2:
        raise MedIMetaError(
            f"Methods are compared over tasks of two or more unrelated datasets; {table.protocol}, {table.split} has "
            f"{len(methods)} method(s) and {len(units)} such dataset(s) with values of all. Give more results."
        )
    means = np.array(
        [np.mean([row for task, row in values.items() if task.partition(" / ")[0] in unit], axis=0) for unit in units]
    )
    scores = -means if table.metric in SMALLER_IS_BETTER else means
    order, ranks = mean_ranks(scores, seed=seed)
    return Standing(
        table.metric,
        tuple(units),
        len(values),
        tuple(task for task in table.tasks if task not in values),
        {methods[j]: ranks[j] for j in order},
        friedman(scores) if len(methods) > 2 else float("nan"),
        tuple(pairs([methods[j] for j in order], scores[:, order])),
    )


def units_of(datasets: Sequence[str]) -> list[tuple[str, ...]]:
    """Group datasets that share subjects, directly or through others among them, each dataset once."""
    units: list[set[str]] = []
    for dataset in dict.fromkeys(datasets):
        card = DATASETS.get(dataset)
        related = {dataset} | {overlap.dataset for overlap in (card.subject_overlaps if card else ())}
        joined = [unit for unit in units if unit & related]
        units = [unit for unit in units if not unit & related] + [{dataset}.union(*joined)]
    order = {dataset: number for number, dataset in enumerate(datasets)}
    return sorted(tuple(sorted(unit)) for unit in units if unit & order.keys())


def mean_ranks(scores: np.ndarray, *, seed: int = 0) -> tuple[list[int], list[Measured]]:
    """Return the mean over units of the ranks of methods within each unit.

    Args:
        scores: Higher is better, shape (units, methods).
        seed: Seed of the bootstrap.

    Returns:
        Column numbers of the methods, best first, and the mean rank of each column with its 95 % interval, by a
        percentile bootstrap over units.
    """
    from scipy.stats import rankdata

    ranks = rankdata(-scores, axis=1)
    drawn = np.random.default_rng(seed).integers(0, len(ranks), (RESAMPLES, len(ranks)))
    resampled = ranks[drawn].mean(axis=1)
    means = ranks.mean(axis=0)
    measured = [Measured(mean, *ends(column, len(ranks))) for mean, column in zip(means, resampled.T, strict=True)]
    return np.argsort(means, kind="stable").tolist(), measured


def friedman(scores: np.ndarray) -> float:
    """Return the p-value of Friedman's test, corrected by Iman and Davenport (1980), that methods are equal.

    Args:
        scores: Shape (units, methods), at least two units and three methods.
    """
    from scipy.stats import f, friedmanchisquare

    units, methods = scores.shape
    if (scores == scores[:, :1]).all():
        return 1.0
    chi = friedmanchisquare(*scores.T).statistic
    rest = units * (methods - 1) - chi
    if rest <= 1e-9:  # all units rank the methods alike
        return 0.0
    return float(f.sf((units - 1) * chi / rest, methods - 1, (methods - 1) * (units - 1)))


def pairs(methods: Sequence[str], scores: np.ndarray) -> list[Pair]:
    """Compare all pairs of methods by Wilcoxon's signed-rank test, with Holm's correction.

    Args:
        methods: Names.
        scores: Higher is better, shape (units, methods). Differences below 1e-12 are ties, which the test leaves out.
    """
    from scipy.stats import wilcoxon

    couples = list(combinations(range(len(methods)), 2))
    differences = [scores[:, i] - scores[:, j] for i, j in couples]
    differences = [np.where(np.abs(one) < 1e-12, 0, one) for one in differences]
    ps = [float(cast(Any, wilcoxon(one)).pvalue) if one.any() else 1.0 for one in differences]
    return [
        Pair(methods[i], methods[j], int((one > 0).sum()), int((one == 0).sum()), int((one < 0).sum()), p, adjusted)
        for (i, j), one, p, adjusted in zip(couples, differences, ps, holm(ps), strict=True)
    ]


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values adjusted by Holm's step-down method: below 0.05, at most 5 % of families have a false one."""
    adjusted, worst = [1.0] * len(ps), 0.0
    for place, number in enumerate(sorted(range(len(ps)), key=lambda number: ps[number])):
        worst = max(worst, min(1.0, (len(ps) - place) * ps[number]))
        adjusted[number] = worst
    return adjusted


def cliques(ranks: Mapping[str, Measured], compared: Sequence[Pair]) -> list[list[str]]:
    """Return the largest runs of methods, in the order of ranks, of which no two differ: the bars of a diagram."""
    methods = list(ranks)
    differ = {frozenset((pair.first, pair.second)) for pair in compared if pair.adjusted < ALPHA}
    runs: list[list[str]] = []
    for first in range(len(methods)):
        last = first
        while last + 1 < len(methods) and not any(
            frozenset((methods[one], methods[last + 1])) in differ for one in range(first, last + 1)
        ):
            last += 1
        if last > first and not (runs and methods[last] in runs[-1]):
            runs.append(methods[first : last + 1])
    return runs


def _shown(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.4f}"
