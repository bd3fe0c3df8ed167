"""The identity of a feature bank, that is, everything that decides its features, and differences of identities."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

FORMAT = 1  # raise it when the features of an identity change
LIBRARIES = ("pillow", "torch")


def identity(encoder: Mapping[str, Any], pixels: str, rows: int) -> dict[str, Any]:
    """Return everything that decides the features of a bank.

    Args:
        encoder: `Encoder.identity()`.
        pixels: Hash of the pixels.
        rows: Number of images.
    """
    settings = dict(encoder)
    versions = {name: version(name) for name in (*LIBRARIES, *settings.pop("libraries", ()))}
    return {"format": FORMAT, "pixels": pixels, "rows": rows, **settings, "versions": versions}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the differences of two identities, each as "NAME was A, is B", where NAME may be "versions.torch"."""
    lines = []
    for name in sorted({*before, *now}):
        old, new = before.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            lines += [f"{name}.{line}" for line in differences(old, new)]
        elif old != new:
            lines.append(f"{name} was {_short(old)}, is {_short(new)}")
    return lines


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:12]}..."
