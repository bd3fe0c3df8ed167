"""Cache keys: what gives another one, and what does not."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from medimeta.builders import keys
from medimeta.builders.dataset import MedIMeta
from medimeta.builders.keys import cache_key, source_key
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options
from medimeta.cards.catalogue import DATASETS

CARD = DATASETS["bus"]
KEY = cache_key(CARD, Options(), "stamp")


@pytest.mark.parametrize(
    "other",
    [
        (DATASETS["pbc"], Options(), "stamp"),
        (replace(CARD, version="1.0.1"), Options(), "stamp"),
        (CARD, Options(labels="corrected"), "stamp"),
        (CARD, Options(partial=True), "stamp"),
        (CARD, Options(with_masks=True), "stamp"),
        (CARD, Options(), "another stamp"),
    ],
)
def test_versions_options_and_source_give_another_key(other):
    assert cache_key(*other) != KEY


def test_the_pipeline_gives_another_key(monkeypatch):
    monkeypatch.setattr(keys, "PIPELINE", keys.PIPELINE + 1)
    assert cache_key(CARD, Options(), "stamp") != KEY


def test_wording_does_not(monkeypatch):
    reworded = replace(CARD, summary="Other words.", known_issues=("More words.",), name="Breast", releases={})
    assert cache_key(reworded, Options(), "stamp") == KEY
    assert cache_key(CARD, Options(labels="released", partial=False), "stamp") == KEY


def test_splits_count_by_content(tmp_path):
    places = [tmp_path / name for name in ("a.csv", "b.csv")]
    for place in places:
        place.write_text("original_filepath,split\nx,train\n")
    same = [cache_key(CARD, Options(splits_from=str(place)), "stamp") for place in places]
    places[0].write_text("original_filepath,split\nx,tests\n")

    assert same[0] == same[1] != KEY
    assert cache_key(CARD, Options(splits_from=str(places[0])), "stamp") not in (same[0], KEY)


def test_a_source_has_one_key_for_caches_and_for_builds(tmp_path):
    raw = write_miniature("bus", tmp_path / "raw", per_class=2)
    copy = shutil.copytree(raw, tmp_path / "copy", copy_function=shutil.copyfile)
    key = source_key(open_source("bus", raw, Options(partial=True)))

    for place in (raw, copy):
        builder = MedIMeta(config_name="bus", data_dir=str(place), partial=True, cache_dir=str(tmp_path / "cache"))
        assert key in builder.config_id
        assert str(builder.config.version) == CARD.version
    assert key not in MedIMeta(config_name="bus", data_dir=str(raw), cache_dir=str(tmp_path / "cache")).config_id
