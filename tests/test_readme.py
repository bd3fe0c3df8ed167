"""README.md says what is true: its table comes from the catalogue, its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

from medimeta.cards.table import datasets_table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_table_of_datasets_is_the_catalogue():
    assert datasets_table() in README, "copy the output of: python -m medimeta.cards.table"


def test_make_targets_and_linked_files_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, flags=re.MULTILINE):
        assert f"\n{target}:" in makefile
    for link in re.findall(r"\]\(([\w/.]+)\)", README):
        assert (ROOT / link).exists(), link
