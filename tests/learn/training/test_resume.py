"""Resuming: the same settings continue, others are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from medimeta.learn.training.resume import OtherSettings, check, finished, note, noted

SETTINGS = {"lr": 0.1, "shots": (1, 3), "model": None}


def test_a_finished_run_is_recognised_by_its_settings(tmp_path):
    path = tmp_path / "result.json"
    assert finished(path, SETTINGS) is None

    note(path, {"settings": SETTINGS | {"data": "more than is asked for"}, "auroc": 0.5})
    assert finished(path, SETTINGS)["auroc"] == 0.5
    for other in ({"lr": 0.2}, {"shots": (1, 4)}, {"new": True}):
        with pytest.raises(OtherSettings, match=next(iter(other))) as refused:
            finished(path, SETTINGS | other)
        assert refused.value.code == "other-settings"


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', '{"settings": 3}', '{"auroc": 0.5}'])
def test_a_damaged_or_foreign_file_is_no_finished_run(content, tmp_path):
    (tmp_path / "result.json").write_text(content)

    assert finished(tmp_path / "result.json", SETTINGS) is None


def test_settings_survive_json(tmp_path):
    settings = SETTINGS | {"folder": Path("runs")}
    note(tmp_path / "settings.json", {"shots": (1, 3)})
    assert noted(tmp_path / "settings.json") == {"shots": [1, 3]}
    check(settings, settings, tmp_path)
    with pytest.raises(OtherSettings, match=r"lr was 0\.1, is None"):
        check(settings, {name: value for name, value in settings.items() if name != "lr"}, tmp_path)
