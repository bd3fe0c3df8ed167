"""Miniature of Chákṣu: photographs of three devices, merged outlines, tables of decisions and measurements."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from ..sources.chaksu import DEVICES, EXPERTS, FUSIONS, MEASUREMENTS, SPLITS
from . import File, encoded, spread, texture

NORMAL, SUSPECT, MISSPELT = "NORMAL", "GLAUCOMA SUSPECT", "GLAUCOMA  SUSUPECT"


def files(rng: np.random.Generator, per_class: int) -> Iterator[File]:
    """`per_class` photographs of each verdict, every fourth in Test."""
    seen, count = [0, 0], dict.fromkeys(SPLITS, 0)
    decisions: dict[tuple[str, str], list[dict[str, str]]] = {(s, d): [] for s in SPLITS for d in DEVICES}
    for n, label in enumerate(spread(rng, 2, per_class)):
        split = "Test" if (seen[label] + label) % 4 == 3 else "Train"
        turn, device = count[split] // 3, DEVICES[count[split] % 3]
        seen[label] += 1
        count[split] += 1
        stem, ending = {
            "Forus": (f"{22 + n}", "png"),
            "Remidio": (f"IMG_{2431 + n}", ("JPG", "jpg")[n % 2]),
            "Bosch": ((f"P{11 + n // 6}_image_{n}", f"p28_image{n}", f"Image{n}")[turn % 3], "JPG"),
        }[device]
        size = (300, 225) if n % 3 else (225, 301)
        kind = "PNG" if ending == "png" else "JPEG"
        picture = texture(rng, label, 2, size, colour=True)
        yield f"{split}.zip", f"{split}/1.0_Original_Fundus_Images/{device}/{stem}.{ending}", encoded(picture, kind)
        yield from _outlines(split, device, stem, size)
        verdict = (SUSPECT, MISSPELT)[n % 2] if label else NORMAL
        name = f"{stem}.tif-{stem}-1.tif" if device == "Remidio" else f"{stem}.jpg-{stem}-1.jpg"
        experts = {expert: verdict if i % 2 else NORMAL for i, expert in enumerate(EXPERTS)}
        decisions[split, device].append({"Images": name} | experts | {"verdict": verdict})
    for (split, device), rows in decisions.items():
        yield from _tables(rng, split, device, rows[::-1])  # in another order than the files
        yield f"{split}.zip", f"{split}/1.0_Original_Fundus_Images/{device}/Thumbs.db", b"no photograph"


def _outlines(split: str, device: str, stem: str, size: tuple[int, int]) -> Iterator[File]:
    """The merged outlines: the disc grey, the cup in it white; and one expert's, which nobody reads."""
    outlines = Image.new("L", size)
    draw = ImageDraw.Draw(outlines)
    for value, share in ((128, 0.3), (255, 0.4)):
        draw.ellipse([*(int(side * share) for side in size), *(int(side * (1 - share)) for side in size)], fill=value)
    folder = "Remedio" if (split, device) == ("Test", "Remidio") else device
    ending, kind = ("png", "PNG") if device == "Forus" else ("tif", "TIFF")
    fusions = f"{split}/4.0_OD_CO_Fusion_Images"
    yield f"{split}.zip", f"{fusions}/{folder}/STAPLE/{stem}.{ending}", encoded(outlines, kind)
    if stem in ("22", "82", "83"):
        yield f"{split}.zip", f"{fusions}/Expert 4/{device}/{stem}glsusp.{ending}", encoded(outlines, kind)


def _tables(rng: np.random.Generator, split: str, device: str, rows: list[dict[str, str]]) -> Iterator[File]:
    """Decisions, the first of them twice and one of no photograph; measurements, one of them missing."""
    folder = f"{split}/6.0_Glaucoma_Decision"
    heading = "Glaucoma Decision" if split == "Test" and device != "Bosch" else "Majority Decision"
    unseen = {"Images": "999x.jpg-999x-1.jpg"} | dict.fromkeys((*EXPERTS, "verdict"), NORMAL)
    decisions = pd.DataFrame([*rows[:1], *rows, unseen]).rename(columns={"verdict": heading})
    yield f"{split}.zip", f"{folder}/Glaucoma_Decision_Comparison_{device}_majority.csv", _csv(decisions)
    for fusion in FUSIONS:
        measured = pd.DataFrame({"Images": [row["Images"] for row in rows]}, dtype=str)
        for name in MEASUREMENTS[:-1]:
            measured[name] = rng.uniform(0.1, 0.9, len(rows)).round(4)
        measured.loc[measured.index[:1], "VCDR"] = np.nan
        measured[MEASUREMENTS[-1]] = [row["verdict"] for row in rows]
        yield f"{split}.zip", f"{folder}/{fusion}/{device}.csv", _csv(measured)


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\r\n", na_rep="NaN").encode("utf-8-sig")
