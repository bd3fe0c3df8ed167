"""The audit by features: planted label errors and copies of a miniature are found through an encoder."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import medimeta
from medimeta.builders.phantoms import write_miniature
from medimeta.learn.experiments.feature_audit import audit_features, cross_validated


@pytest.fixture(scope="module")
def swapped(tmp_path_factory):
    """A miniature in which an image is the copy of one of another class."""
    raw = write_miniature("bus", tmp_path_factory.mktemp("raw"), per_class=30, packed=False)
    folder = raw / "Dataset_BUSI_with_GT"
    copy = (folder / "malignant" / "malignant (29).png").read_bytes()
    (folder / "normal" / "normal (3).png").write_bytes(copy)
    return raw


def patches(values):
    return torch.nn.functional.avg_pool2d(values[:, :1], 8).flatten(1)


def test_suspects_and_pairs_of_a_miniature(swapped):
    encoder = medimeta.encoder(patches, name="p", sha256="1" * 64, size=64, mean=(0.5,) * 3, std=(0.5,) * 3)

    suspects, pairs = audit_features(encoder, "bus", similarity=0.999, data_dir=swapped, partial=True)

    copies = {frozenset((row["original_filepath"], row["other_filepath"])) for row in pairs.to_dict("records")}
    assert frozenset(("malignant/malignant (29).png", "normal/normal (3).png")) in copies
    assert {"label", "suggested", "margin", "split", "index"} < set(suspects.columns)
    assert (suspects["label"] != suspects["suggested"]).all()


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_probabilities_come_from_other_folds(kind):
    names = ("a", "b") if kind == "binary" else ("a", "b", "c")
    task = medimeta.DATASETS["bus"].tasks[0]
    task = type(task)("t", kind, names, dataset="toy")
    rng = np.random.default_rng(0)
    features = rng.normal(size=(90, 8)).astype(np.float32)
    labels = rng.integers(0, len(names), 90)
    if kind == "multilabel":
        labels = (rng.random((90, 3)) < 0.4).astype(np.float32)
    before = cross_validated(task, features, labels, [None] * 90)

    changed = labels.copy()
    changed[0] = 1 - changed[0] if kind != "multiclass" else (labels[0] + 1) % 3
    after = cross_validated(task, features, changed, [None] * 90)

    assert before.shape == (90, len(names))
    np.testing.assert_array_equal(before[0], after[0])  # a row's own label has no part in its probabilities
    assert (before != after).any()
