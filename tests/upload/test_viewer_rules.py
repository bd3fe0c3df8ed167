"""Limits of the Hub's viewer: what is built keeps them, and each is named with its number where it is broken."""

from __future__ import annotations

import re
import shutil
from types import SimpleNamespace

import pytest
import yaml

import medimeta
from fakes.parquet import edit
from fakes.publishing import build_folder
from medimeta.upload.verify import viewer_rules
from medimeta.upload.verify.folder import verify_folder
from medimeta.upload.verify.published import Published
from medimeta.upload.verify.viewer_rules import VIEWER_RULES


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return build_folder(tmp_path_factory.mktemp("viewer"), {"bus": 3})


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "hub")


def found(folder):
    return [str(finding) for finding in verify_folder(folder) if finding.rule.startswith("viewer")]


def change_entry(folder, change):
    path = folder / "README.md"
    _, front, body = path.read_text(encoding="utf-8").split("---\n", 2)
    facts = yaml.safe_load(front)
    change(facts["configs"][0])
    path.write_text(f"---\n{yaml.safe_dump(facts)}---\n{body}", encoding="utf-8")


def test_what_is_built_keeps_them(folder):
    assert found(folder) == []


@pytest.mark.parametrize(
    ("limit", "value", "words"),
    [
        ("PAGE_BYTES", 100_000, r"page scan: train: to show rows 0 to 99 .* bytes; at most 100,000 are allowed"),
        ("COLUMNS", 5, r"names: .* has \d+ columns; at most 5 are allowed"),
        ("COLUMN_NAME", 13, r"names: column names of more than 13 characters: .*original_split\.\.\. \(14\)"),
        ("FILES", 1, "numbers: 2 files in one folder; the Hub wants at most 1"),
        ("CONFIGS", 0, "numbers: README.md lists 1 datasets; at most 0"),
        ("SPLITS", 1, "yaml keys: README.md lists 2 splits; at most 1 are allowed"),
    ],
)
def test_limits(folder, monkeypatch, limit, value, words):
    monkeypatch.setattr(viewer_rules, limit, value)

    messages = found(folder)

    assert messages
    assert any(re.search(f"viewer: {words}", message) for message in messages)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda entry: entry.update(license="mit"), "ignores the key(s) license"),
        (lambda entry: entry["data_files"][0].update(x=1), "keys ['path', 'split', 'x']; each item has split and path"),
        (lambda entry: entry["data_files"][0].update(split="train-1"), "split(s) train-1 of README.md: only letters"),
    ],
)
def test_yaml_keys(folder, change, words):
    change_entry(folder, change)

    assert any(words in message and "yaml keys" in message for message in found(folder))


def test_a_split_without_rows(folder):
    edit(folder / "bus" / "test-00000-of-00001.parquet", lambda rows: rows.clear())

    assert any("empty split: file(s) with 0 rows" in message for message in found(folder))


def test_a_page_that_lies_in_several_row_groups():
    """Rows 100 to 199 are in the second half of one group and the first of the next, in another file."""
    group = SimpleNamespace(num_rows=150, total_byte_size=200_000_000)
    shards = [SimpleNamespace(split="train", groups=[group])] * 2
    published = SimpleNamespace(readable=shards)

    (problem,) = VIEWER_RULES["viewer: page scan"](published)

    assert "rows 100 to 199 the viewer has to read 400,000,000 bytes; at most 300,000,000" in problem.message


def test_card_that_cannot_be_read(folder):
    (folder / "README.md").write_text("---\nconfigs: [1]\n---\n")

    published = Published(folder, medimeta.DATASETS["bus"])

    assert [list(rule(published)) for rule in VIEWER_RULES.values()] == [[]] * len(VIEWER_RULES)
