"""axe-core, the accessibility checker, in a page that is open in a browser.

`npm install --no-save axe-core` in the checkout, or AXE with the path of axe.min.js, says where it is.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def script() -> str:
    """The source of axe-core; the test is skipped where there is none."""
    path = Path(os.environ.get("AXE", ROOT / "node_modules" / "axe-core" / "axe.min.js"))
    if not path.is_file():
        pytest.skip("no axe-core; install it (npm install --no-save axe-core), or name axe.min.js in AXE")
    return path.read_text(encoding="utf-8")


def violations(page) -> list[str]:
    """What axe-core finds in a page: rule and the elements that break it."""
    page.evaluate(script())
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [f"{one['id']} ({one['impact']}): {[node['html'][:200] for node in one['nodes'][:3]]}" for one in found]
