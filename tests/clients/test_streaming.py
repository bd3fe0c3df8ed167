"""Streams for training, with plain `datasets`: batches of mixed classes, several workers and nodes, and resuming."""

from __future__ import annotations

from collections import Counter

import pytest
from datasets import load_dataset
from datasets.distributed import split_dataset_by_node
from scipy.stats import chisquare
from torch.utils.data import DataLoader

from fakes.publishing import build_folder

COLUMN = "case_category"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    return build_folder(tmp_path_factory.mktemp("hub"), {"bus": 120})


def stream(hub, columns=("index", COLUMN)):
    """The recipe of README and card: rows as they are stored, and a buffer for another order in each epoch."""
    return load_dataset(str(hub), "bus", split="train", streaming=True).select_columns(list(columns))


def indices(rows):
    return [int(row["index"]) for row in rows]


def test_a_batch_has_the_class_mix_of_the_split(hub):
    labels = [row[COLUMN] for row in stream(hub)]
    share = Counter(labels)

    for first in range(0, len(labels) - 64, 64):
        batch = Counter(labels[first : first + 64])
        expected = [64 * share[label] / len(labels) for label in share]
        assert chisquare([batch[label] for label in share], expected).pvalue > 1e-4
        assert set(batch) == set(share)


def test_two_workers_share_every_row(hub):
    rows = stream(hub)

    assert rows.n_shards >= 2
    loaded = DataLoader(rows.with_format("torch"), batch_size=16, num_workers=2)
    found = [int(index) for batch in loaded for index in batch["index"]]

    assert sorted(found) == sorted(indices(rows))


def test_two_nodes_share_every_row(hub):
    rows = stream(hub)

    parts = [indices(split_dataset_by_node(rows, rank=rank, world_size=2)) for rank in range(2)]

    assert sorted(parts[0] + parts[1]) == sorted(indices(rows))
    assert not set(parts[0]) & set(parts[1])
    assert min(map(len, parts)) > 0


def test_a_stream_resumes(hub):
    rows = stream(hub)
    first = iter(rows)
    before = [int(next(first)["index"]) for _ in range(37)]
    state = rows.state_dict()

    again = stream(hub)
    again.load_state_dict(state)

    assert before + indices(again) == indices(stream(hub))


def test_each_epoch_has_its_own_order(hub):
    rows = stream(hub).shuffle(seed=0, buffer_size=50)
    first = indices(rows)
    rows.set_epoch(1)

    assert sorted(first) == sorted(indices(rows))
    assert first != indices(rows)
