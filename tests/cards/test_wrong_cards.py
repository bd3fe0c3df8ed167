"""Cards that contradict themselves or each other are refused with one line."""

import shutil
from pathlib import Path

import pytest

from medimeta.cards import catalogue
from medimeta.cards.catalogue import DATASETS, Catalogue
from medimeta.cards.reading import read_card
from medimeta.errors import CatalogueError

CARDS = Path(catalogue.__file__).parent


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("channels: 1", "channels: 1\nchanels: 1", r"\n  chanels: ", id="unknown key"),
        pytest.param(
            "    kind: binary",
            "    kind: binary\n    weight: 2",
            r"\n  tasks\.1\.weight: ",
            id="unknown key of a task",
        ),
        pytest.param("channels: 1", "channels: 2", r"\n  channels: .*\(got 2\)", id="wrong value"),
        pytest.param("test: 156", "test: many", r"\n  splits\.counts\.test: .*\(got 'many'\)", id="wrong type"),
        pytest.param("domain: Breast ultrasound\n", "", r"\n  domain: Field required", id="missing key"),
        pytest.param(
            "[no malignant finding, malignant finding]",
            "[NO, YES]",
            r"\n  tasks\.1\.labels\.0: .*string \(got False\)\n  tasks\.1\.labels\.1: ",
            id="NO read as a boolean",
        ),
        pytest.param("id: bus", "id: buss", r": id: 'buss' differs from the file name 'bus'", id="id is not the file"),
        pytest.param("test: 156", "test: 157", r": splits: .*differ in total", id="totals do not add up"),
        pytest.param("test: 156", "test: 156, extra: 0", r": splits\.counts: the splits are", id="unknown split"),
        pytest.param("  by: original_filepath\n", "", r": splits: .*need by", id="random split by nothing"),
        pytest.param("kind: binary", "kind: ordinal", r": tasks\.malignancy: .*scores", id="ordinal, no scores"),
        pytest.param("[normal, benign, malignant]", "[normal, normal]", r": tasks\.case category: ", id="label twice"),
        pytest.param("masks: [mask]", "masks: [malignancy]", r": annotations: .*malignancy", id="column twice"),
        pytest.param(
            "    commercial: true", "    commercial: false", r": licence: looser than a source's", id="looser licence"
        ),
        pytest.param("version: 1.1.0", "version: 1.2.0", r": releases: .*version 1\.2\.0", id="version without a note"),
        pytest.param("1.0.0", "1.0.x", r": releases: .*three numbers", id="version of two numbers"),
        pytest.param("channels: 1", "channels: [1", r": not valid YAML", id="not YAML"),
    ],
)
def test_wrong_cards_are_refused(tmp_path, old, new, message):
    path = tmp_path / "bus.yaml"
    text = (CARDS / "bus.yaml").read_text(encoding="utf-8")
    assert old in text
    path.write_text(text, encoding="utf-8")
    assert read_card(path) == DATASETS["bus"]
    path.write_text(text.replace(old, new, -1 if old == "1.0.0" else 1), encoding="utf-8")
    with pytest.raises(CatalogueError, match=rf"^bus\.yaml.*{message}"):
        read_card(path)


def test_a_list_is_no_card(tmp_path):
    path = tmp_path / "bus.yaml"
    path.write_text("- bus\n", encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"^bus\.yaml: expected a mapping of keys, got list"):
        read_card(path)


@pytest.mark.parametrize(
    ("other", "message"),
    [("crc", r"lists crc, but crc\.yaml does not list bus"), ("crr", r"there is no dataset 'crr'")],
)
def test_overlap_without_its_mirror_is_refused(tmp_path, other, message):
    shutil.copy(CARDS / "crc.yaml", tmp_path)
    text = (CARDS / "bus.yaml").read_text(encoding="utf-8")
    (tmp_path / "bus.yaml").write_text(
        f"{text}subject_overlaps: [{{dataset: {other}, published: true, note: none}}]\n", encoding="utf-8"
    )
    with pytest.raises(CatalogueError, match=rf"^bus\.yaml: subject_overlaps: {message}"):
        dict(Catalogue(tmp_path))
