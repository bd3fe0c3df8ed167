"""Miniature of ISIC 2018 task 3: landscape JPEG files, one-hot tables, seven files as the challenge provides them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ..sources.isic2018 import CODES, LESIONS, PARTS
from . import File, encoded, parts, spread, texture


def files(rng: np.random.Generator, per_class: int) -> Iterator[File]:
    """`per_class` images of each class over all parts; two training images of a class show one lesion."""
    number = 24306
    for (split, part), count in zip(PARTS.items(), parts(per_class, 0.6, 0.15, 0.25), strict=True):
        labels = list(spread(rng, len(CODES), count))
        images = [f"ISIC_{number + n:07d}" for n in range(len(labels))]
        number += len(labels)
        for image, label in zip(images, labels, strict=True):
            picture = texture(rng, label, len(CODES), (320, 240), colour=True)
            yield f"{part}_Input.zip", f"{part}_Input/{image}.jpg", encoded(picture, "JPEG", quality=90)
        yield f"{part}_Input.zip", f"{part}_Input/LICENSE.txt", b"Miniature: no image shows a patient."
        table = pd.DataFrame(np.eye(len(CODES))[labels], index=pd.Index(images, name="image"), columns=list(CODES))
        name = f"{part}_GroundTruth"
        yield f"{name}.zip", f"{name}/{name}.csv", table.to_csv().encode()
        if split == "train":
            seen = [labels[:n].count(label) for n, label in enumerate(labels)]
            lesions = [f"HAM_{label:04d}{k // 2:03d}" for label, k in zip(labels, seen, strict=True)]
            groups = pd.DataFrame({"image": images, "lesion_id": lesions, "diagnosis confirm type": "follow_up"})
            yield "", LESIONS, groups.to_csv(index=False).encode()
