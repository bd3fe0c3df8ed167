"""The report of a benchmark: equal numbers in every form, names as text only, and a page that needs no server."""

from __future__ import annotations

import csv
import html
import re
from pathlib import Path

import numpy as np
import pytest

import medimeta
from fakes.browser import axe, chromium
from medimeta.errors import MedIMetaError, UnknownName
from medimeta.learn.benchmark.benchmark import Benchmark, Failure
from medimeta.learn.evaluation.results import Measured, Result

TASKS = [task for card in medimeta.DATASETS.values() for task in card.tasks]
MODELS = ("vit", "resnet & co", "<script>alert(1)</script>", "under_score 50%")
LACKING = (MODELS[1], TASKS[3])  # a model and a task without a result


def one(model, task, value):
    return Result(
        dataset=task.dataset,
        task=task.name,
        kind=task.kind,
        metrics={"auroc": Measured(value, value - 0.0123, value + 0.0123)},
        interval="bootstrap",
        images=100,
        fingerprint={},
        seed=0,
        protocol="linear probe",
        method=model,
        model=model,
        split="test",
    )


@pytest.fixture(scope="module")
def done():
    rng = np.random.default_rng(0)
    given = [(model, task, round(float(rng.uniform(0.5, 0.98)), 4)) for model in MODELS for task in TASKS]
    results = [(Path(f"{number}.json"), one(*about)) for number, about in enumerate(given) if about[:2] != LACKING]
    return Benchmark(tuple(results), (Failure("vit", "bus/malignancy, knn", "no <memory>"),))


@pytest.fixture(scope="module")
def folder(done, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    assert done.report(folder, title="Mine & yours") == folder / "index.html"
    return folder


def shown(measured):
    return f"{measured.value:.3f}"


def test_every_form_has_every_number(done, folder):
    texts = {name: (folder / name).read_text() for name in ("index.html", "tables.md", "tables.tex")}
    for _, result in done.results:
        for name, text in texts.items():
            assert shown(result.metrics["auroc"]) in text, (name, result.task)
    with (folder / "tables.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(done.results) == len(MODELS) * len(TASKS) - 1
    assert sorted(float(row["value"]) for row in rows) == sorted(r.metrics["auroc"].value for _, r in done.results)
    assert done.to_markdown().count("\n### ") == texts["tables.md"].count("\n### ")
    assert done.to_latex() == texts["tables.tex"]


def test_names_are_text_in_every_form(folder):
    page, markdown, tex = ((folder / name).read_text() for name in ("index.html", "tables.md", "tables.tex"))
    assert "<script>alert" not in page
    assert html.escape(MODELS[2]) in page
    assert "Mine &amp; yours" in page
    assert "no &lt;memory&gt;" in page
    assert "no <memory>" in markdown
    assert r"resnet \& co" in tex
    assert r"under\_score 50\%" in tex


def test_the_page_asks_no_server(folder):
    page = (folder / "index.html").read_text()
    assert re.findall(r"""(?:src|href)=["'](?!#|data:|https://arxiv|https://doi)([^"']+)""", page) == []
    assert "@import" not in page
    assert "url(http" not in page


def test_what_cannot_be_compared_is_an_error(done, tmp_path):
    with pytest.raises(UnknownName):
        done.report(tmp_path, metric="auroq")
    with pytest.raises(MedIMetaError):
        Benchmark((), ()).report(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def browser():
    yield from chromium()


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1600])
def test_axe_finds_nothing_and_nothing_overflows(folder, browser, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    try:
        page = context.new_page()
        page.goto((folder / "index.html").as_uri())

        assert axe.violations(page) == []
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth + 1")
    finally:
        context.close()
