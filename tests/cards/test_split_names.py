"""Splits that "+" joins have full names, each once."""

from __future__ import annotations

import pytest

from medimeta.cards.split_names import join_splits, split_names
from medimeta.errors import UnknownName


def test_splits_are_joined_under_their_full_names():
    assert split_names("train") == ("train",)
    assert split_names("val + test") == ("validation", "test")
    assert join_splits("train+val+test") == "train+validation+test"


@pytest.mark.parametrize("split", ["", "train+", "train+dev", "train[:10%]", "val+validation", None, 3])
def test_other_names_are_refused(split):
    with pytest.raises(UnknownName):
        split_names(split)
