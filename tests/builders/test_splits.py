"""The published split algorithm, against numbers that were published."""

from __future__ import annotations

import hashlib

import pandas as pd
import pytest

from medimeta.builders.sources import busi
from medimeta.builders.table.splits import official_split, random_split
from medimeta.cards.catalogue import DATASETS


def test_membership_of_bus_follows_from_its_names():
    paths = sorted(busi.expected())
    split = pd.Series(
        official_split(pd.DataFrame({"original_filepath": paths, "original_split": "train"}), DATASETS["bus"].splits)
    )
    digests = {}
    for name in ("train", "validation", "test"):
        members = [path for path, part in zip(paths, split, strict=True) if part == name]
        digests[name] = hashlib.sha256("\n".join(sorted(members)).encode()).hexdigest()[:16]

    assert split.value_counts().to_dict() == DATASETS["bus"].splits.counts
    assert digests == {"train": "bca397fd87178cf3", "validation": "260885cfa6feeb14", "test": "17ca4cb209a5d83c"}


@pytest.mark.parametrize(
    ("n", "train", "validation", "counts"),
    [(1009, 0.85, 0.15, (857, 152, 0)), (18365, 0.7, 0.1, (12855, 1836, 3674)), (10, 1.0, 0.0, (10, 0, 0))],
)
def test_shares_are_truncated_and_no_key_is_lost(n, train, validation, counts):
    split = random_split(range(n), train=train, validation=validation)

    assert tuple(split.count(name) for name in ("train", "validation", "test")) == counts


def test_equal_keys_stay_together_and_order_decides():
    keys = [f"patient {i % 7}" for i in range(50)]
    split = random_split(keys, train=0.5, validation=0.25)

    assert len({(key, part) for key, part in zip(keys, split, strict=True)}) == 7
    assert random_split(keys, train=0.5, validation=0.25) == split
    assert random_split(keys[::-1], train=0.5, validation=0.25)[::-1] != split


def test_holdout_keeps_the_sources_test_part():
    rows = pd.DataFrame(
        {"original_filepath": [f"{i}" for i in range(100)], "original_split": ["train"] * 80 + ["val"] * 20}
    )
    split = official_split(rows, DATASETS["crc"].splits)

    assert split[80:] == ["test"] * 20
    assert (split.count("train"), split.count("validation")) == (68, 12)


def test_mistakes():
    with pytest.raises(ValueError, match="must not be negative and not exceed 1"):
        random_split([1], train=0.9, validation=0.2)
    with pytest.raises(ValueError, match="Every row needs a key"):
        random_split(["a", None], train=0.5, validation=0.5)
