"""A repository that holds configs of others: they keep their rows and stay loadable."""

from __future__ import annotations

import json

import pytest
import yaml

from fakes.publishing import (
    REPO,
    build_folder,
    change_a_row,
    contents,
    in_another_process,
    publish,
)
from medimeta.upload.push.plan import owner
from medimeta.upload.verify.findings import clean
from medimeta.upload.verify.folder import verify_folder

LOAD_CONFIGS = """
import json, sys
from datasets import load_dataset
split = lambda name: load_dataset("ns/medimeta", name, split="train").select_columns(
    ["subject_id"] if name == "bus" else ["episode", "support"])
print(json.dumps({name: split(name).to_list() for name in sys.argv[1:]}))
"""


PUSH_CONFIG = """
import sys
from datasets import Dataset
rows = Dataset.from_dict({"episode": [0, 1], "support": [[1, 2], [0, 5]]})
rows.push_to_hub("ns/medimeta", config_name=sys.argv[1], split="train")
"""


def push_elsewhere(hub, home, name):
    """`Dataset.push_to_hub` of a small table as a config."""
    in_another_process(hub, home, PUSH_CONFIG, name)


def loaded(hub, home, *names):
    """Rows of the training split of configs, as `load_dataset` gives them."""
    return json.loads(in_another_process(hub, home, LOAD_CONFIGS, *names))


def titles(hub):
    return [commit.title for commit in hub.repos[REPO].history()]


def test_others_keep_their_rows_and_their_place_in_the_card(lfs_hub, small, tmp_path):
    publish(lfs_hub, small)
    before = lfs_hub.files(REPO)
    alone = build_folder(tmp_path, {"bus": 4}, seed=1, name="alone")

    plan = publish(lfs_hub, alone).plan

    after = lfs_hub.files(REPO)
    assert plan.kept == ("crc", "pneumonia")
    assert {p: d for p, d in after.items() if owner(p) in ("crc", "pneumonia")} == {
        p: d for p, d in before.items() if owner(p) in ("crc", "pneumonia")
    }
    front = yaml.safe_load(after["README.md"].split(b"---\n")[1])
    assert [entry["config_name"] for entry in front["configs"]] == ["bus", "crc", "pneumonia"]
    assert front["dataset_info"][0]["splits"][0]["num_examples"] == 8
    assert b"crc" in after["LICENSE.md"]
    assert b"crc" in after["croissant.json"]


@pytest.mark.slow
def test_configs_of_others_stay_loadable(lfs_hub, tmp_path):
    folder = build_folder(tmp_path, {"bus": 3, "crc": 1})
    publish(lfs_hub, folder)
    push_elsewhere(lfs_hub, tmp_path, "episodes_bus_1shot")
    theirs = {path: data for path, data in lfs_hub.files(REPO).items() if path.startswith("episodes_")}
    change_a_row(folder)

    done = publish(lfs_hub, folder)

    assert titles(lfs_hub)[:3] == ["Release bus, crc", "Upload dataset", "Release bus, crc"]
    after = lfs_hub.files(REPO)
    assert theirs
    assert {path: data for path, data in after.items() if path.startswith("episodes_")} == theirs
    front = yaml.safe_load(after["README.md"].split(b"---\n")[1])
    for key in ("configs", "dataset_info"):
        assert [entry["config_name"] for entry in front[key]] == ["bus", "crc", "episodes_bus_1shot"]
    assert sum(entry.get("default", False) for entry in front["configs"]) == 1
    assert not publish(lfs_hub, folder).made
    assert done.made
    rows = loaded(lfs_hub, tmp_path, "bus", "episodes_bus_1shot")
    assert rows["bus"][0]["subject_id"] == "someone"
    assert rows["episodes_bus_1shot"] == [{"episode": 0, "support": [1, 2]}, {"episode": 1, "support": [0, 5]}]


@pytest.mark.slow
def test_a_downloaded_copy_with_configs_of_others_is_clean_and_can_be_pushed(lfs_hub, small, tmp_path):
    publish(lfs_hub, small)
    push_elsewhere(lfs_hub, tmp_path, "episodes_bus_1shot")
    for path, data in lfs_hub.files(REPO).items():
        (tmp_path / "copy" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / path).write_bytes(data)

    found = verify_folder(tmp_path / "copy")

    assert {finding.dataset for finding in found} <= {"bus", "crc", "pneumonia"}
    assert clean(found)
    assert publish(lfs_hub, tmp_path / "copy").plan.files.keys() == contents(small).keys()


@pytest.mark.parametrize("default", [{"config_name": "mine", "default": True}, {"config_name": "default"}, {}])
def test_a_default_config_of_others_stays_the_only_one(lfs_hub, small, default):
    """With two of them `load_dataset` fails."""
    entry = {**default, "data_files": "mine.csv"}
    card = {"configs": [entry], "dataset_info": {"features": []} | default}
    lfs_hub.create(REPO)
    lfs_hub.commit(REPO, {"README.md": f"---\n{yaml.safe_dump(card)}---\nMine\n".replace("\n", "\r\n").encode()})

    publish(lfs_hub, small)

    front = yaml.safe_load(lfs_hub.files(REPO)["README.md"].split(b"---\n")[1])
    assert front["configs"][-1] == entry
    assert front["dataset_info"][-1] == {"features": []} | default
    assert not any("default" in entry for entry in front["configs"][:-1])
