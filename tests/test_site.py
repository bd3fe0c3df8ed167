"""The documentation site builds without a warning, and axe-core finds nothing wrong with its pages."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fakes.browser import axe, chromium
from fakes.pages import ROOT

PAGES = ("index", "first-lines", "tutorial", "train", "troubleshooting", "api")
pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / ".editable")}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def browser():
    yield from chromium()


@pytest.mark.parametrize("width", [320, 1600])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(site, browser, name, width):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme="light")
    try:
        page = context.new_page()
        page.goto((site / f"{name}.html").as_uri())
        page.wait_for_timeout(300)

        assert axe.violations(page) == []
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth + 1")
    finally:
        context.close()
