"""The corruptions by name, and the parameters at which each dataset uses them.

Their definitions and parameters follow MedMNIST-C (F. Di Salvo, S. Doerrich, C. Ledig, "MedMNIST-C: Comprehensive
benchmark and improved classifier robustness by simulating realistic image corruptions", 2024, arXiv 2406.17536).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ....cards import catalogue
from ....cards.reading import read_facts
from ....errors import MedIMetaError, unknown
from ..decode import PixelArray
from . import artefacts, blur, noise, tone
from .streams import streams

SEVERITIES = (1, 2, 3, 4, 5)
SEVERITY = 3  # default
Severities = dict[str, tuple[Any, ...]]


class Corruption(NamedTuple):
    """One corruption.

    Attributes:
        function: Takes images, a parameter and, if `random`, the stream of each image; returns new images.
        random: Whether the corruption draws random numbers.
    """

    function: Callable[..., PixelArray]
    random: bool = False


CORRUPTIONS = {
    "gaussian_noise": Corruption(noise.gaussian_noise, random=True),
    "speckle_noise": Corruption(noise.speckle_noise, random=True),
    "impulse_noise": Corruption(noise.impulse_noise, random=True),
    "shot_noise": Corruption(noise.shot_noise, random=True),
    "defocus_blur": Corruption(blur.defocus_blur),
    "gaussian_blur": Corruption(blur.gaussian_blur),
    "motion_blur": Corruption(blur.motion_blur, random=True),
    "zoom_blur": Corruption(blur.zoom_blur),
    "brightness_up": Corruption(tone.brightness),
    "brightness_down": Corruption(tone.brightness),
    "contrast_up": Corruption(tone.contrast),
    "contrast_down": Corruption(tone.contrast),
    "gamma_corr_up": Corruption(tone.gamma_corr),
    "gamma_corr_down": Corruption(tone.gamma_corr),
    "saturate": Corruption(tone.saturate),
    "pixelate": Corruption(tone.pixelate),
    "jpeg_compression": Corruption(tone.jpeg_compression),
    "stain_deposit": Corruption(artefacts.stain_deposit, random=True),
    "bubble": Corruption(artefacts.bubble, random=True),
    "black_corner": Corruption(artefacts.black_corner),
    "characters": Corruption(artefacts.characters, random=True),
}


def corruptions(dataset: str) -> Severities:
    """Return the corruptions that suit a dataset, with their parameters.

    Args:
        dataset: Id of the dataset.

    Returns:
        Per name the parameters at severities 1 to 5; docs/corruptions.md explains them.

    Raises:
        UnknownName: If the dataset does not exist.
        MedIMetaError: If the dataset is not one of the 19 published ones, which alone have a list.
    """
    card = catalogue.DATASETS[dataset]
    lists = _lists()
    if card.id not in lists:
        raise MedIMetaError(
            f"{card.id} has no list of corruptions; the datasets that have one: {', '.join(sorted(lists))}. Apply the "
            "list of a similar dataset: medimeta.learn.data.corruptions.registry.corrupt(images, dataset, name, 3)",
            code="no-corruptions",
        )
    return dict(lists[card.id])


def check(dataset: str, name: str, severity: int) -> Any:
    """Return the parameter of a corruption of a dataset at a severity; None at severity 0.

    Raises:
        UnknownName: If the corruption does not suit the dataset, or the severity does not exist.
    """
    suitable = corruptions(dataset)
    if name not in suitable:
        raise unknown(f"corruption of {dataset}", name, suitable, hint=f"See: medimeta corruptions {dataset}")
    if isinstance(severity, bool) or severity not in (0, *SEVERITIES):
        raise unknown("severity", severity, ["0", *map(str, SEVERITIES)], hint="0 is the image as it is.")
    return suitable[name][severity - 1] if severity else None


def corrupt(
    images: PixelArray, dataset: str, name: str, severity: int, indices: Sequence[int] | None = None
) -> PixelArray:
    """Corrupt images.

    The result depends only on the image, its number, the corruption and the severity, not on batch, order, process or
    machine.

    Args:
        images: uint8, shape (N, height, width, channels), 1 or 3 channels, 0 to 255.
        dataset: Id of the dataset whose parameters are used.
        name: Name of the corruption, one of `corruptions(dataset)`.
        severity: 1 to 5; 0 returns the images as they are.
        indices: The number of each image, as in the column `index`, on which random corruptions depend. By default
            0, 1, ...

    Returns:
        A new array like `images`; values are rounded down.

    Raises:
        UnknownName: If the corruption does not suit the dataset, or the severity does not exist.
        MedIMetaError: If the images have another shape or type.
    """
    parameter = check(dataset, name, severity)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise MedIMetaError(
            f"Images are {images.dtype} of shape {images.shape}; they must be uint8 of shape "
            "(N, height, width, 1 or 3)."
        )
    if not severity or not images.size:
        return images.copy()
    function, random = CORRUPTIONS[name]
    if not random:
        return function(images, parameter)
    indices = range(len(images)) if indices is None else indices
    return function(images, parameter, streams(dataset, indices, name))


@lru_cache(maxsize=1)
def _lists() -> dict[str, Severities]:
    """Read the parameters of every dataset."""
    file = Path(catalogue.__file__).parent / "corruptions" / "medmnist_c.yaml"
    return {
        dataset: {name: tuple(values) for name, values in facts.items() if name != "datasets"}
        for facts in read_facts(file).values()
        for dataset in facts["datasets"]
    }
