"""README.md and docs/ say what is true: examples are run and compared, tables derive, links lead somewhere."""

from __future__ import annotations

import re

import datasets
import pytest

import medimeta
from fakes.pages import BLOCKS, ROOT, run_console, run_python
from medimeta.cards.catalogue import DATASETS
from medimeta.cards.table import datasets_table
from medimeta.cli.demo import run as run_demo

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = ["README.md", "CONTRIBUTING.md", "RELEASING.md"]
PAGES += sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
MAPS = [f"{room}/README.md" for room in ("builders", "cards", "cli", "files", "learn", "upload")]
ELSEWHERE = {"docs/add-a-dataset.md"}  # adds to the package; tests/test_add_a_dataset.py runs it in a copy


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """What `make demo` leaves."""
    folder = tmp_path_factory.mktemp("readme")
    run_demo(folder / "demo")
    return folder


def run_page(page, folder, monkeypatch):
    """Run all blocks of a page in order, in one working directory and one Python session; return their number."""
    monkeypatch.chdir(folder)
    blocks = BLOCKS.findall((ROOT / page).read_text(encoding="utf-8"))
    session = {}
    for kind, text in blocks:
        if kind == "python":
            session = run_python(text, page, session)
        else:
            run_console(text, page)
    return len(blocks)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page not in ELSEWHERE])
def test_examples_give_what_is_shown(page, demo, monkeypatch):
    datasets.disable_progress_bars()
    try:
        ran = run_page(page, demo, monkeypatch)
    finally:
        datasets.enable_progress_bars()
    assert ran or page not in (
        "README.md",
        "docs/rows.md",
        "docs/protocols.md",
        "docs/moving.md",
        "docs/first-lines.md",
    )


def test_a_wrong_output_is_noticed():
    with pytest.raises(AssertionError, match="medimeta --version"):
        run_console("$ medimeta --version\n9.9.9\n", "page")


def test_table_and_numbers_are_those_of_the_catalogue():
    cards = DATASETS.values()
    images = sum(card.total for card in cards)
    sentence = (
        f"{len(cards)} medical imaging datasets of {len(DATASETS.domains)} domains, {len(DATASETS.tasks())} tasks, "
    )
    assert f"{sentence}{images:,} images" in " ".join(README.split())
    page = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    assert datasets_table() in page, "copy the output of: python -m medimeta.cards.table"


@pytest.mark.parametrize("page", PAGES + MAPS)
def test_make_targets_and_linked_files_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", text, flags=re.MULTILINE):
        assert f"\n{target}:" in makefile
    for link in re.findall(r"\]\((?!https?:)([^)#\s]+)", text):
        assert (ROOT / page).parent.joinpath(link).exists(), link


def test_every_script_is_mentioned():
    scripts = {path.name for path in (ROOT / "examples").glob("*.py")}

    assert scripts <= set(re.findall(r"`(\w+\.py)`", (ROOT / "examples" / "README.md").read_text(encoding="utf-8")))


def test_every_public_name_is_documented():
    documented = re.findall(r"^\| `medimeta\.(\w+)`", (ROOT / "docs/api.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(documented) == sorted(medimeta.__all__)
    for name in medimeta.__all__:
        assert name == "DATASETS" or getattr(medimeta, name).__doc__, name
