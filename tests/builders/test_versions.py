"""Rows change only together with a version: that of the card, or PIPELINE."""

from __future__ import annotations

import importlib

import pytest

from fakes import pinned
from fakes.pinned import DRAWN_WITH, RECORD, checksums, name_of, recorded
from medimeta.builders import keys
from medimeta.cards.catalogue import DATASETS


def check(dataset, folder):
    """Fail if the rows of a miniature differ from those recorded for the present versions."""
    known = recorded().get(name_of(dataset))
    if known is None:
        pytest.fail(f"No rows are recorded for {name_of(dataset)}. Run: {RECORD} {dataset}")
    now = checksums(dataset, folder)
    if now["miniature"] != known["miniature"]:
        if now["drawn_with"] != known["drawn_with"]:
            pytest.skip(f"the miniature of {dataset} differs when drawn with {DRAWN_WITH}")
        pytest.fail(f"The miniature of {dataset} is drawn differently now. Run: {RECORD} {dataset}")
    if changed := [aspect for aspect in now if aspect != "drawn_with" and now[aspect] != known.get(aspect)]:
        pytest.fail(
            f"{', '.join(changed)} of {dataset} changed. Raise `version` in cards/{dataset}.yaml and say under "
            "`releases` what changed for a user; if shared code changed the rows of several datasets, raise "
            f"PIPELINE in builders/keys.py instead. Then run: {RECORD} {dataset}"
        )


@pytest.mark.parametrize("dataset", DATASETS)
def test_rows_are_those_of_their_version(dataset, tmp_path):
    check(dataset, tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("medimeta.builders.sources.busi.CATEGORY", "labels of bus changed. Raise `version` in cards/bus.yaml"),
        ("medimeta.builders.table.splits.SEED", "splits of bus changed"),
        ("medimeta.builders.keys.PIPELINE", r"No rows are recorded for bus 1\.\d+\.\d+, pipeline"),
    ],
)
def test_a_change_names_the_number_to_raise(change, words, tmp_path, monkeypatch):
    if change.endswith("CATEGORY"):
        importlib.import_module("medimeta.builders.phantoms.busi")  # it copies CATEGORY when it is imported
        monkeypatch.setattr(change, {"normal": 0, "benign": 2, "malignant": 1})
    elif change.endswith("SEED"):
        from medimeta.builders.table import splits

        draw = splits.random_split
        monkeypatch.setattr(splits, "random_split", lambda *args, **options: draw(*args, **options, seed=43))
    else:
        monkeypatch.setattr(pinned, "PIPELINE", keys.PIPELINE + 1)

    with pytest.raises(pytest.fail.Exception, match=words):
        check("bus", tmp_path)
