"""Official splits: the published algorithm, carried out as the catalogue's rule says."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd

from ...cards.details import SplitRule

SEED = 42  # of the release


def random_split(keys: Sequence[Hashable], *, train: float, validation: float, seed: int = SEED) -> list[str]:
    """Assign "train", "validation" or "test" to every row so that equal keys stay together.

    The published algorithm: the n distinct keys, in order of first appearance, are permuted with
    `numpy.random.RandomState(seed)`; the first `int(train * n)` are train, the next `int(validation * n)` are
    validation and the rest is test, or validation when the two shares make up the whole. Labels are not stratified.

    Args:
        keys: One key per row: a file, a patient or a volume. Their order matters.
        train: Share of the distinct keys, 0 to 1.
        validation: Share of the distinct keys, 0 to 1 - train.
        seed: Seed of the permutation; 42 gives the published membership.

    Returns:
        One split name per row, in row order.

    Raises:
        ValueError: If a share is negative or both exceed 1.
    """
    if min(train, validation) < 0 or train + validation > 1 + 1e-9:
        raise ValueError(f"train={train} and validation={validation} must not be negative and not exceed 1 together.")
    if pd.isna(pd.Series(list(keys), dtype=object)).any():
        raise ValueError("Every row needs a key to be split by; some are missing.")
    codes, distinct = pd.factorize(np.asarray(keys, dtype=object))
    n = len(distinct)
    order = np.random.RandomState(seed).permutation(n)
    n_train = int(train * n)
    # No test part: everything after train is validation, so that no key is lost to rounding.
    n_validation = n - n_train if train + validation > 1 - 1e-9 else int(validation * n)
    names = np.full(n, "test", dtype=object)
    names[order[:n_train]] = "train"
    names[order[n_train : n_train + n_validation]] = "validation"
    return list(names[codes])


def official_split(rows: pd.DataFrame, rule: SplitRule) -> list[str]:
    """The official split of every row of a manifest.

    Args:
        rows: Manifest with `original_split` ("train", "val", "test") and the rule's `by` column, in release order.
        rule: The catalogue's rule.

    Returns:
        "train", "validation" or "test" per row.
    """
    if rule.rule == "source":
        return ["validation" if name == "val" else name for name in rows["original_split"]]
    if rule.by is None or rule.train is None or rule.validation is None:
        raise ValueError(f"The rule {rule.rule!r} needs by, train and validation.")
    if rule.rule == "random":
        return random_split(list(rows[rule.by]), train=rule.train, validation=rule.validation)
    split = np.full(len(rows), "test", dtype=object)
    divided = (rows["original_split"] == "train").to_numpy()
    split[divided] = random_split(list(rows.loc[divided, rule.by]), train=rule.train, validation=rule.validation)
    return list(split)
