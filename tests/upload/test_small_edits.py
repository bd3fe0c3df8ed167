"""A small change of a large dataset sends little."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fakes.hub import Hub
from fakes.publishing import PARTIAL, REPO, other_client, publish, without_waiting
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import RawSource
from medimeta.upload.folder.writing import build


class Fewer(RawSource):
    """All images but one of training; splits and published numbers are those of the rest."""

    @property
    def stamp(self) -> str:
        return f"{super().stamp} fewer"

    def manifest(self) -> pd.DataFrame:
        rows = super().manifest()
        rows = rows.drop(index=rows.index[rows["split"] == "train"][300]).reset_index(drop=True)
        return rows.assign(index=np.arange(len(rows), dtype=np.int32))


@pytest.mark.slow
def test_one_more_image_among_a_thousand_sends_less_than_a_tenth(tmp_path, monkeypatch):
    raw = write_miniature("pbc", tmp_path / "raw", per_class=125, packed=False)
    build(Fewer("pbc", raw, PARTIAL), tmp_path / "hub", version="0")
    build(RawSource("pbc", raw, PARTIAL), tmp_path / "more", version="0")

    without_waiting(monkeypatch, lfs=False)
    with Hub(tmp_path / "server") as hub, other_client():
        publish(hub, tmp_path / "hub")
        whole = hub.sent
        publish(hub, tmp_path / "more")
        again = hub.sent - whole
        rows = [path for path in hub.files(REPO) if path.startswith("pbc/")]

    print(f"{whole:,} bytes first, {again:,} again: {again / whole:.3f}")
    assert len(rows) == 5
    assert again < whole / 10
