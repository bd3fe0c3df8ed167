"""Miniature of the seven-point checklist: cases with a clinical and a dermoscopic JPEG, meta.csv and index files."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ..sources.derm7pt import DIAGNOSIS_GROUP, INDEXES, PIGMENTATION_GROUP, REGRESSION_GROUP, VASCULAR_GROUP
from . import File, encoded, texture

ARCHIVE = "release_v0.zip"
CRITERIA = {  # every criterion follows the diagnosis, so that it shows in the picture
    "pigment_network": ["absent", "typical", "atypical"],
    "streaks": ["absent", "regular", "irregular"],
    "pigmentation": list(PIGMENTATION_GROUP),
    "regression_structures": list(REGRESSION_GROUP),
    "dots_and_globules": ["absent", "regular", "irregular"],
    "blue_whitish_veil": ["absent", "present"],
    "vascular_structures": list(VASCULAR_GROUP),
}
MELANOMA = ("melanoma", "melanoma (in situ)", "melanoma (less than 0.76 mm)", "melanoma metastasis")


def files(rng: np.random.Generator, per_class: int) -> Iterator[File]:
    """`per_class` cases of each diagnosis; the last one has the same file as clinical and dermoscopic image."""
    diagnoses = list(DIAGNOSIS_GROUP)
    cases = []
    for n, label in enumerate(rng.permutation(np.repeat(np.arange(len(diagnoses)), per_class)).tolist()):
        last = n + 1 == len(diagnoses) * per_class
        clinic, derm = f"NML/Nml{n:03d}.jpg", f"NML/Nml{n:03d}{'' if last else 'd'}.{'jpg' if n % 2 or last else 'JPG'}"
        name = diagnoses[label]
        cases.append(
            {"case_num": n + 1, "diagnosis": MELANOMA[n % len(MELANOMA)] if name == "melanoma" else name}
            | {"seven_point_score": label % 8}
            | {criterion: values[label % len(values)] for criterion, values in CRITERIA.items()}
            | {"level_of_diagnostic_difficulty": "low", "elevation": "flat", "location": "back"}
            | {"sex": ("female", "male")[n % 2], "management": "excision", "clinic": clinic, "derm": derm}
            | {"case_id": None, "notes": "same file twice" if last else None}
        )
        for path in sorted({clinic, derm}):
            size = (384, 256) if n % 3 else (256, 256)
            picture = texture(rng, label, len(diagnoses), size, colour=True)
            yield ARCHIVE, f"release_v0/images/{path}", encoded(picture, "JPEG", quality=90)
    yield ARCHIVE, "release_v0/meta/meta.csv", pd.DataFrame(cases).to_csv(index=False).encode()
    parts = np.array_split(rng.permutation(len(cases)), [int(0.5 * len(cases)), int(0.7 * len(cases))])
    for name, part in zip(INDEXES.values(), parts, strict=True):
        yield ARCHIVE, f"release_v0/meta/{name}", pd.DataFrame({"indexes": sorted(part)}).to_csv(index=False).encode()
