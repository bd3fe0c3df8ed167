"""Do counts come from these probabilities? And the exact probabilities of small episodes, by trying everything."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Mapping
from fractions import Fraction
from functools import cache


def assert_follows(drawn: Iterable[Hashable], probabilities: Mapping[Hashable, float]) -> None:
    """Pearson's chi-square test at about 1 in a million; with fixed seeds the answer is always the same.

    Every outcome should be expected five times or more.
    """
    counts = dict.fromkeys(probabilities, 0)
    for outcome in drawn:
        assert outcome in counts, f"impossible outcome {outcome}"
        counts[outcome] += 1
    total = sum(counts.values())
    expected = {outcome: total * float(p) for outcome, p in probabilities.items()}
    assert min(expected.values()) >= 5
    assert math.isclose(sum(expected.values()), total)
    statistic = sum((counts[outcome] - e) ** 2 / e for outcome, e in expected.items())
    freedom = len(counts) - 1
    # Wilson and Hilferty: the cube root of chi-square over its freedom is nearly normal.
    normal = ((statistic / freedom) ** (1 / 3) - 1 + 2 / (9 * freedom)) / math.sqrt(2 / (9 * freedom))
    assert normal < 4.75, f"chi-square {statistic:.1f} with {freedom} degrees of freedom"


def all_pairs(labels, shots, queries):
    """Every pair of disjoint sets with so many of each class, each equally likely."""
    per_class = []
    for label in sorted(set(labels)):
        rows = [row for row, value in enumerate(labels) if value == label]
        per_class.append(
            [
                (support, query)
                for support in itertools.combinations(rows, shots)
                for query in itertools.combinations([row for row in rows if row not in support], queries)
            ]
        )
    found = [
        tuple(frozenset(itertools.chain.from_iterable(part[side] for part in parts)) for side in (0, 1))
        for parts in itertools.product(*per_class)
    ]
    return dict.fromkeys(found, Fraction(1, len(found)))


def by_the_rule(pools, subjects, need):
    """Exact probabilities of what the head of learn/episodes/sampler.py says, by trying every order and every side."""

    @cache
    def fill(number, seen, support, query, sides):
        if number == len(pools):
            return {(support, query): Fraction(1)}
        pool, sets = pools[number], (support, query)
        places = [max(0, need[side] - len(pool & sets[side])) for side in (0, 1)]
        if not any(places):
            return fill(number + 1, frozenset(), support, query, sides)
        rest = pool - seen
        found = {} if rest else {None: Fraction(1)}
        for row in rest:
            known = dict(sides)
            if row in support | query:
                odds = {None: 1}
            elif subjects[row] in known:
                odds = {known[subjects[row]]: 1}
            else:
                odds = {side: Fraction(places[side], sum(places)) for side in (0, 1) if places[side]}
            for side, chance in odds.items():
                taken = [set(support), set(query)]
                if side is not None:
                    known[subjects[row]] = side
                    if places[side]:
                        taken[side].add(row)
                after = fill(number, seen | {row}, *map(frozenset, taken), tuple(sorted(known.items())))
                for outcome, share in after.items():
                    found[outcome] = found.get(outcome, 0) + share * chance / len(rest)
        return found

    outcomes = fill(0, frozenset(), frozenset(), frozenset(), ())
    failed = outcomes.pop(None, 0)
    return {outcome: chance / (1 - failed) for outcome, chance in outcomes.items()}, failed
