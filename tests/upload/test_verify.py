"""Verifying: what was built is clean, and each damage is found by its rule and by no other."""

from __future__ import annotations

import dataclasses
import json
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pyarrow.parquet as pq
import pytest

import medimeta
from fakes.damage import DAMAGE, a_subject_in_two_splits, same_image_in_two_splits, set_record, shard
from fakes.parquet import edit, rows_of, set_values
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.rows import features
from medimeta.builders.source import Options
from medimeta.cli import app as cli
from medimeta.upload.folder import shards
from medimeta.upload.folder.card_files import OUTDATED, write_card
from medimeta.upload.folder.writing import NotAHubFolder, build
from medimeta.upload.verify import file_rules
from medimeta.upload.verify.file_rules import FILE_RULES
from medimeta.upload.verify.findings import clean, summary
from medimeta.upload.verify.folder import verify_folder
from medimeta.upload.verify.row_rules import ROW_RULES, SET_RULES

OPTIONS = Options(partial=True, with_masks=True)


def built(home, **datasets):
    """A Hub folder of miniatures, next to their sources."""
    for dataset, per_class in datasets.items():
        raw = write_miniature(dataset, home / dataset, per_class=per_class)
        build(open_source(dataset, raw, OPTIONS), home / "hub", version="0")
    return home / "hub"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return built(tmp_path_factory.mktemp("verify"), bus=6, cxr=2)


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    return built(tmp_path_factory.mktemp("verify"), pbc=20, skinl_derm=2)


@pytest.fixture
def hub(whole, tmp_path):
    """A Hub folder to damage."""
    return shutil.copytree(whole, tmp_path / "hub")


@pytest.fixture
def colours(coloured, tmp_path):
    """One with colour images, and with more than one row group."""
    return shutil.copytree(coloured, tmp_path / "hub")


def errors(findings):
    return {finding.rule for finding in findings if finding.severity == "error"}


def test_what_was_built_has_no_error(whole):
    finished = []

    findings = verify_folder(whole, advance=finished.append)

    assert {(f.dataset, f.severity, f.rule) for f in findings} == {(d, "note", "row counts") for d in ("bus", "cxr")}
    assert "published: train 546, validation 78, test 156" in findings[0].message
    assert clean(findings)
    assert summary(findings).endswith("Clean: 2 note(s).")
    rows = (pq.read_metadata(path).num_rows for path in whole.glob("*/*.parquet"))
    assert sum(finished) == sum(rows)


@pytest.mark.parametrize("case", DAMAGE)
def test_each_damage_is_found_by_its_rules_alone(hub, case):
    damage, rules, words = DAMAGE[case]
    damage(hub)

    findings = [f for f in verify_folder(hub) if f.dataset != "bus" or case != "unknown dataset"]

    assert errors(findings) == rules, summary(findings)
    assert words in summary(findings)
    assert not clean(findings)


def test_a_file_at_which_other_libraries_stop_is_noted(hub):
    (hub / "bus" / "notes.txt").write_text("mine")

    (finding,) = [f for f in verify_folder(hub) if f.rule == "other files"]

    assert (finding.dataset, finding.severity) == ("bus", "note")
    assert "notes.txt" in finding.message


def test_every_rule_is_seen_to_fail():
    elsewhere = {"row groups", "file size", "duplicate images", "subjects", "other files"}  # the tests below

    assert {*FILE_RULES, *ROW_RULES, *SET_RULES} - set().union(*(rules for _, rules, _ in DAMAGE.values())) == elsewhere


def test_larger_row_groups(colours, monkeypatch):
    path = shard(colours, dataset="pbc")
    monkeypatch.setattr(shards, "BATCH", 1000)
    shards.write_shard(path, [pq.read_table(path)], features(medimeta.DATASETS["pbc"]))

    findings = verify_folder(colours)

    assert errors(findings) == {"row groups"}
    assert "row groups of 112 rows; the limit is 100" in summary(findings)


def test_too_large_a_file(colours, monkeypatch):
    monkeypatch.setattr(file_rules, "SHARD_BYTES", shard(colours, dataset="pbc").stat().st_size - 1)

    findings = verify_folder(colours)

    assert [(f.dataset, f.rule) for f in findings if f.severity == "error"] == [("pbc", "file size")]


def test_an_image_in_two_splits_is_a_warning_that_names_the_rows(hub):
    same_image_in_two_splits(hub)
    first, second = rows_of(shard(hub))[0], rows_of(shard(hub, "test"))[0]

    findings = verify_folder(hub)

    [found] = [f for f in findings if f.severity != "note"]
    assert (found.severity, found.rule) == ("warning", "duplicate images")
    assert found.examples == (
        f"test: {second['original_filepath']} (index {second['index']}); "
        f"train: {first['original_filepath']} (index {first['index']})",
    )
    assert clean(findings)


def test_subjects_that_the_published_rule_does_not_keep_together_are_a_note(colours):
    a_subject_in_two_splits(colours, "skinl_derm")

    findings = verify_folder(colours)

    assert clean(findings)
    [found] = [f for f in findings if f.rule == "subjects"]
    assert (found.severity, found.message[:29]) == ("note", "1 case(s) have images in two ")


def test_numbers_kept_from_a_partial_release_are_a_note(hub):
    set_record(hub, source="release")
    edit(shard(hub), lambda rows: [row | {"index": row["index"] + 100} for row in rows])

    findings = verify_folder(hub)

    assert clean(findings)
    assert "index" in {f.rule for f in findings if f.severity == "note"}


def test_corrected_builds_may_have_unknown_findings(hub):
    set_record(hub, "cxr", labels="corrected")
    set_values(shard(hub, dataset="cxr"), 0, disease_labels=None)

    assert clean(verify_folder(hub))


def test_a_complete_build_has_no_finding(hub, monkeypatch):
    card = medimeta.DATASETS["bus"]
    counts = json.loads((hub / "records" / "bus" / "build.json").read_text())["rows"]
    small = dataclasses.replace(card, splits=dataclasses.replace(card.splits, counts=counts))
    monkeypatch.setitem(medimeta.DATASETS._cards, "bus", small)

    findings = [finding for finding in verify_folder(hub) if finding.dataset == "bus"]

    assert findings == []
    assert summary(findings) == "Clean: no findings."


def test_a_dataset_that_only_the_card_lists(hub):
    shutil.rmtree(hub / "cxr")

    findings = [finding for finding in verify_folder(hub) if finding.dataset == "cxr"]

    assert {"build record", "shards", "row counts"} <= errors(findings)


@pytest.mark.slow
def test_any_number_of_workers_finds_the_same(colours):
    same_image_in_two_splits(colours, "pbc")
    set_values(shard(colours, dataset="pbc"), 105, cell_class=99)

    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        assert verify_folder(colours, executor=executor, workers=2) == (findings := verify_folder(colours))
    assert {"labels", "duplicate images"} <= {finding.rule for finding in findings}


def test_a_folder_without_datasets_is_refused(tmp_path):
    with pytest.raises(NotAHubFolder, match=r"holds no dataset. Give the folder that holds README.md"):
        verify_folder(tmp_path)


def medimeta_verify(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(["verify", *map(str, arguments)])
    return ended.value.code, capsys.readouterr()


def test_command_checks_a_folder(hub, capsys):
    code, shown = medimeta_verify(capsys, hub)
    assert (code, shown.out.splitlines()[-1]) == (0, "Clean: 2 note(s).")
    set_values(shard(hub), 0, case_category=3)

    code, shown = medimeta_verify(capsys, hub, "--json")

    assert code == 1
    found = [finding for finding in json.loads(shown.out) if finding["severity"] == "error"]
    assert [(f["dataset"], f["rule"], len(f["examples"])) for f in found] == [("bus", "labels", 1)]


def test_command_compares_a_dataset(whole, hub, capsys):
    arguments = ["bus", "--source", whole.parent / "bus", "--against", hub, "--partial"]
    code, shown = medimeta_verify(capsys, *arguments)
    assert (code, shown.out.splitlines()[-1]) == (0, "Equal.")
    edit(shard(hub), lambda rows: rows[1:])

    code, shown = medimeta_verify(capsys, *arguments, "--json")

    assert code == 1
    assert json.loads(shown.out)["only_here"]["rows"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["bus"], 2, "add --against DIR|RELEASE"),
        (["HUB", "--source", "RAW"], 2, "add --against DIR|RELEASE"),
        (["bsu", "--against", "HUB"], 2, "Did you mean 'bus'"),
        (["NOWHERE"], 1, "NOWHERE holds no dataset"),
        (["bus", "--source", "RAW", "--against", "HUB"], 1, "expects 780 images, found 18"),
        (["bus", "--source", "RAW", "--against", "NOWHERE", "--partial"], 1, "NOWHERE"),
    ],
)
def test_a_mistake_is_named_and_answered(whole, tmp_path, capsys, arguments, code, words):
    places = {"HUB": whole, "RAW": whole.parent / "bus", "NOWHERE": tmp_path / "NOWHERE"}

    found, shown = medimeta_verify(capsys, *(places.get(word, word) for word in arguments))

    assert found == code
    assert words in " ".join(shown.err.split())


def test_rows_of_a_damaged_picture_are_still_compared_with_others(hub):
    """A picture that cannot be read has no pixels to be the same as another's."""
    for split in ("train", "test"):
        set_values(shard(hub, split), 0, image={"bytes": b"x", "path": "x.png"})

    assert {f.rule for f in verify_folder(hub) if f.severity == "warning"} == set()


def test_a_card_that_is_older_than_a_dataset(hub):
    (hub / OUTDATED).touch()

    assert {finding.rule for finding in verify_folder(hub) if "medimeta card" in finding.message} == {"card"}

    write_card(hub, "0")
    assert not (hub / OUTDATED).exists()
