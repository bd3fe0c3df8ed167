"""Miniature of RFMiD: landscape PNG files numbered from 1 in every part, tables with a byte-order mark."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ...cards.catalogue import DATASETS
from ..sources.rfmid import IMAGES, PARTS, ROOT, TABLES
from . import File, encoded, layered, parts, spread

ARCHIVE = f"{ROOT}.zip"
FREQUENT = ("DR", "MH", "DN", "TSLN", "ODC")  # as in the source; a small model can learn these


def files(rng: np.random.Generator, per_class: int) -> Iterator[File]:
    """`per_class` normal and abnormal images; all findings occur among them, some with a second, frequent one."""
    findings = DATASETS["fundus"].task("disease labels").labels
    frequent = [findings.index(name) for name in FREQUENT]
    abnormal = 0
    for (folder, table), count in zip(PARTS.values(), parts(per_class, 0.5, 0.2, 0.3), strict=True):
        rows = []
        for number, risk in enumerate(spread(rng, 2, count), start=1):
            present: set[int] = set()
            if risk:
                present = {frequent[abnormal % len(frequent)], *range(abnormal, len(findings), per_class)}
                abnormal += 1
            picture = layered(rng, sorted(present), len(findings), (320, 240), colour=True)
            yield ARCHIVE, f"{ROOT}/{IMAGES}/{folder}/{number}.png", encoded(picture, "PNG")
            rows.append([number, risk, *(int(i in present) for i in range(len(findings)))])
        content = pd.DataFrame(rows, columns=["ID", "Disease_Risk", *findings]).to_csv(index=False)
        yield ARCHIVE, f"{ROOT}/{TABLES}/{table}", content.encode("utf-8-sig")
