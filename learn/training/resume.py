"""Resume earlier work: compare the settings of an earlier run with those of the current one, for every command.

A run writes its settings into a JSON file before it starts, and again with its result. Both are compared with the
current settings: a finished run with the same settings is not repeated, an interrupted one continues, and a run with
other settings is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import MedIMetaError
from ...files.atomic import whole_file

Settings = Mapping[str, Any]


class OtherSettings(MedIMetaError):
    """Earlier work that had other settings than those given now."""

    code = "other-settings"


def check(before: Settings, now: Settings, where: Path) -> None:
    """Refuse to continue work that had other settings.

    Raises:
        OtherSettings: If a setting differs, or only one side has it.
    """
    before, now = _plain(before), _plain(now)
    if different := [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]:
        changes = ", ".join(f"{name} was {before.get(name)!r}, is {now.get(name)!r}" for name in different)
        raise OtherSettings(
            f"{where} is of a run with other settings: {changes}. Give the same ones to continue, leave out --resume "
            "to start again, or choose another --output-dir."
        )


def note(path: Path, content: Settings) -> None:
    """Write settings, or a result with its settings, atomically."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def noted(path: Path) -> dict[str, Any] | None:
    """Return the content of a file written by `note`; None if the file does not exist or cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def finished(path: Path, now: Settings) -> dict[str, Any] | None:
    """Return the report of a finished run; None if there is no finished run.

    Args:
        path: The file that a run writes last, with a key `settings`.
        now: The current settings.

    Raises:
        OtherSettings: If the finished run had other settings: its results are not overwritten by `--resume`.
    """
    content = noted(path)
    settings = None if content is None else content.get("settings")
    if not isinstance(settings, dict):
        return None
    check({name: settings.get(name) for name in now}, now, path.parent)
    return content


def _plain(settings: Settings) -> dict[str, Any]:
    """Return settings as they are after a round trip through JSON: tuples become lists, keys become text."""
    content: dict[str, Any] = json.loads(json.dumps(settings, default=str))
    return content
