"""Datasets of others: a multilabel one with patients in a tar.gz of any name, and what mistakes in one look like."""

from __future__ import annotations

import os
import re
import tarfile

import pytest
import yaml

import medimeta
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.rows import to_table
from medimeta.builders.source import Options
from medimeta.cards import plugins
from medimeta.cards.catalogue import DATASETS
from medimeta.cli.app import main
from medimeta.cli.new_dataset import write_package
from medimeta.errors import CatalogueError, SourceBroken, SourceNotFound

NAMES = {"id": "nailfold", "package": "medimeta_nailfold", "project": "medimeta-nailfold", "title": "Nailfold"}
ARCHIVE = "Capillaries 2026 (final).tgz"


@pytest.fixture
def folder(tmp_path):
    """The folder of the cards of a new dataset; no dataset is added any more after the test."""
    write_package(tmp_path / "project", NAMES)
    yield tmp_path / "project" / "medimeta_nailfold"
    os.environ.pop(plugins.VARIABLE, None)
    DATASETS.reload()


def edit_card(folder, **changes):
    path = folder / "nailfold.yaml"
    facts = yaml.safe_load(path.read_text()) | changes
    path.write_text(yaml.safe_dump(facts, sort_keys=False))


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def drawn(folder, tmp_path):
    """The phantom's source of the dataset in a folder."""
    medimeta.add_cards(folder)
    return write_miniature("nailfold", tmp_path / "source")


def added(folder, location):
    medimeta.add_cards(folder)
    return open_source("nailfold", location)


@pytest.fixture
def multilabel(folder, tmp_path):
    """The dataset with its multilabel task as the only one, and its source in a tar.gz archive."""
    facts = yaml.safe_load((folder / "nailfold.yaml").read_text())
    edit_card(folder, tasks=facts["tasks"][1:], sources=[facts["sources"][0] | {"archives": [ARCHIVE]}])
    edit(folder / "nailfold.py", '            "diagnosis": table["diagnosis"],\n', "")
    assert medimeta.add_cards(folder) == ("nailfold",)
    unpacked = write_miniature("nailfold", tmp_path / "unpacked", packed=False)
    source = tmp_path / "source"
    source.mkdir()
    with tarfile.open(source / ARCHIVE, "w:gz") as tar:
        tar.add(unpacked / "nailfold", "nailfold")
    return source


def rows_of(location):
    source = open_source("nailfold", location)
    return to_table(source, source.manifest()).to_pylist()


def test_a_tar_of_any_name_gives_the_rows_of_the_folder(multilabel, tmp_path):
    rows = rows_of(multilabel)

    assert rows == rows_of(tmp_path / "unpacked") == rows_of(multilabel / ARCHIVE)
    assert [row["findings"] for row in rows[:4]] == [[], [0], [1], [0, 1]]
    assert [row["subject_id"] for row in rows[:4]] == ["H0", "H0", "H1", "H1"]


def test_commands_and_functions_know_an_added_dataset(multilabel, tmp_path, capsys):
    hub = tmp_path / "hub"
    for command in (
        ["build", "nailfold", "--source", multilabel, "--out", hub, "--num-proc", "2"],
        ["verify", hub],
        ["card", hub],
        ["info", "nailfold", "--source", multilabel],
        ["list", "--domain", "nailfold"],
    ):
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in command])
        assert end.value.code == 0, capsys.readouterr()
    assert "nailfold" in capsys.readouterr().out
    rows = medimeta.load_dataset("nailfold", data_dir=hub)
    assert rows.num_rows == DATASETS["nailfold"].splits.counts
    subjects = {split: set(part["subject_id"]) for split, part in rows.items()}
    assert not subjects["train"] & subjects["test"]
    assert [task.name for task in medimeta.tasks(domain="Nailfold")] == ["findings"]
    episode = medimeta.episodes("nailfold", split="train", shots=2, queries=2, n=1, seed=0, data_dir=hub)[0]
    assert len(episode.support)


@pytest.mark.parametrize("nothing", ["None", "float('nan')"])
def test_an_unknown_multilabel_cell_is_none(folder, tmp_path, nothing):
    edit(folder / "nailfold.py", "else []", f"else {nothing}")

    rows = open_source("nailfold", drawn(folder, tmp_path)).manifest()

    assert rows["findings"].to_list()[:3] == [None, [0], [1]]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("text", r"'haemorrhage' is not a list of labels of task 'findings', in row 1 \(images/healthy_1.png\)"),
        ("[1, 0, 1]", r"\[1, 0, 1\] is not a list of the labels present"),  # flags instead of labels
        ("[True, False]", r"\[True, False\] is not a list of the labels present"),
        ("['swelling']", "'swelling' is not a label of task 'findings'"),
    ],
)
def test_other_multilabel_cells_are_refused(folder, tmp_path, cell, message):
    edit(folder / "nailfold.py", 'text.split("|") if isinstance(text, str) else []', cell)

    with pytest.raises(SourceBroken, match=message):
        open_source("nailfold", drawn(folder, tmp_path)).manifest()


def test_annotations_are_optional(folder, tmp_path):
    facts = yaml.safe_load((folder / "nailfold.yaml").read_text())
    del facts["annotations"]
    (folder / "nailfold.yaml").write_text(yaml.safe_dump(facts))

    assert "age" not in rows_of(drawn(folder, tmp_path))[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counts": {"train": 22, "validation": 4, "test": 10}}, r"train 24, validation 2; splits.counts .*train 22"),
        ({"original": {"train": 30, "test": 6}}, r"train 36; splits.original .*test 6, train 30"),
    ],
)
def test_wrong_counts_with_the_right_total_are_an_error(folder, tmp_path, changes, message):
    splits = yaml.safe_load((folder / "nailfold.yaml").read_text())["splits"]
    edit_card(folder, splits=splits | changes)
    source = drawn(folder, tmp_path)

    with pytest.raises(SourceBroken, match=message):
        open_source("nailfold", source).manifest()
    assert len(open_source("nailfold", source, Options(partial=True)).manifest()) == 36


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("builder: nailfold", "builder: nailfolt", r"nailfold\.yaml: builder: .*'nailfolt'. Did you mean 'nailfold'\?"),
        ("kind: multiclass", "kind: multiclas", r"nailfold\.yaml: .*tasks\.0\.kind"),
        ("id: nailfold", "id: [", r"nailfold\.yaml: not valid YAML"),
    ],
)
def test_a_mistake_in_a_card_is_named(folder, tmp_path, old, new, message):
    edit(folder / "nailfold.yaml", old, new)

    with pytest.raises(CatalogueError, match=f"(?s){message}"):
        added(folder, tmp_path).manifest()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("READER = Reader(MARKERS, manifest, render)", "", r"nailfold\.py: there is no READER"),
        ("import pandas as pd", "import pandass as pd", r"nailfold\.yaml: builder: .*No module named 'pandass'"),
        ("def render(", "def render", r"nailfold\.py, line \d+: "),
    ],
)
def test_a_mistake_in_a_source_module_is_named(folder, tmp_path, old, new, message):
    edit(folder / "nailfold.py", old, new)

    with pytest.raises(CatalogueError, match=message):
        added(folder, tmp_path).manifest()


def test_a_dataset_of_the_same_id_is_refused_and_nothing_is_added(folder):
    (folder / "nailfold.yaml").rename(folder / "bus.yaml")

    with pytest.raises(CatalogueError, match=re.escape(str(folder / "bus.yaml"))):
        medimeta.add_cards(folder)
    assert plugins.VARIABLE not in os.environ
    assert DATASETS["bus"].name == "Breast Ultrasound"


def test_a_folder_without_cards_is_refused(tmp_path):
    with pytest.raises(SourceNotFound, match="holds no cards"):
        medimeta.add_cards(tmp_path)
