"""`Encoder`: any backbone as a function from uint8 images to vectors, with the preprocessing that it expects."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import MedIMetaError, unknown
from ..data.decode import PixelArray

if TYPE_CHECKING:  # the class can be imported without the extra [train]
    import torch
    from torch import nn

    from .backbone import Backbone
    from .transform import ImageTransform

DTYPES = ("float32", "bfloat16")
Forward = Callable[["torch.Tensor"], Any]


@dataclass(frozen=True)
class Encoder:
    """A backbone as a function from uint8 images to feature vectors, with its preprocessing and device.

    Attributes:
        name: Name of the encoder in tables.
        model: A module or function from normalised images, float32 of shape (N, 3, size, size), to features, shape
            (N, width). A module is in evaluation mode, on `device`.
        transform: The preprocessing.
        weights_sha256: SHA-256 of weights and structure; for a function, the hash that was given.
        width: Number of features.
        device: Device that it runs on.
        dtype: "float32", or "bfloat16" for automatic mixed precision; features are float32 in both cases.
    """

    name: str
    model: Forward
    transform: ImageTransform
    weights_sha256: str
    width: int
    device: torch.device
    dtype: str = "float32"

    @classmethod
    def of(
        cls,
        name: str,
        model: Forward,
        transform: ImageTransform,
        *,
        sha256: str | None = None,
        device: torch.device | str | None = None,
        dtype: str = "float32",
    ) -> Encoder:
        """Return an encoder; one blank image is encoded to find the number of features.

        Args:
            name: Name of the encoder in tables.
            model: As for `Encoder`; a module is put into evaluation mode and moved to the device.
            transform: The preprocessing.
            sha256: Identifies the model: 64 hexadecimal digits. By default the SHA-256 of the weights and structure of
                a module.
            device: Device that it runs on; a GPU by default, if there is one.
            dtype: As for `Encoder`.

        Raises:
            UnknownName: If the dtype does not exist.
            MedIMetaError: If the name is empty, a function has no sha256, or the model does not give vectors.
        """
        import torch
        from torch import nn

        if dtype not in DTYPES:
            raise unknown("dtype", dtype, DTYPES)
        if not name.strip():
            raise MedIMetaError("An encoder needs a name, by which tables and feature banks call it.")
        where = torch.device(device or _own_device())
        if isinstance(model, nn.Module):
            model = model.eval()
            sha256 = sha256 or _sha256(model)
            model = model.to(where)
        if sha256 is None or not re.fullmatch("[0-9a-f]{64}", sha256):
            raise MedIMetaError(
                f"sha256 of encoder {name!r} is {sha256!r}; it must be 64 hexadecimal digits. A function needs one, so "
                "that features of different functions are never mixed up: for example, the SHA-256 of its weights and "
                "source."
            )
        draft = cls(name, model, transform, sha256, 0, where, dtype)
        width = draft._forward(torch.zeros(1, 3, transform.size, transform.size, device=where)).shape[1]
        return cls(name, model, transform, sha256, width, where, dtype)

    @property
    def size(self) -> int:
        """Height and width of the model's input."""
        return self.transform.size

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean per channel, of values from 0 to 1."""
        return self.transform.mean

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation per channel."""
        return self.transform.std

    @property
    def interpolation(self) -> str:
        """Name of the resampling filter."""
        return self.transform.interpolation

    @property
    def crop(self) -> bool:
        """Whether the borders of images are cut off."""
        return self.transform.crop

    def images(self, pixels: PixelArray) -> np.ndarray:
        """Return the features of images.

        Args:
            pixels: uint8, shape (N, side, side, 1 or 3), 0 to 255; a grey channel is repeated three times.

        Returns:
            float32, shape (N, width).

        Raises:
            MedIMetaError: If the pixels have another form, or a feature is not a finite number.
        """
        return self.forward(self.transform(np.asarray(pixels), self.device))

    def forward(self, values: torch.Tensor) -> np.ndarray:
        """Return the features of preprocessed images; see `images`.

        Args:
            values: float32, shape (N, 3, size, size), as `transform` returns them.
        """
        features = self._forward(values).cpu().numpy()
        if (lost := int((~np.isfinite(features)).any(axis=1).sum())) > 0:
            raise MedIMetaError(
                f"Encoder {self.name!r} gives NaN or infinite features for {lost} of {len(values)} images."
            )
        return features

    def texts(self, sentences: Sequence[str]) -> np.ndarray:
        """Return the vectors of sentences, to compare with those of images by cosine similarity.

        Args:
            sentences: The sentences; M is their number.

        Returns:
            float32, shape (M, width).

        Raises:
            MedIMetaError: If this is not an image-text model.
        """
        import torch

        with torch.inference_mode():
            return self._image_text.texts(sentences).float().cpu().numpy()

    @property
    def logit_scale(self) -> float:
        """The factor that cosine similarities of images and sentences were trained with.

        Raises:
            MedIMetaError: If this is not an image-text model.
        """
        return self._image_text.logit_scale

    @property
    def _image_text(self) -> Backbone:
        from .backbone import Backbone

        if not isinstance(self.model, Backbone):
            raise MedIMetaError(
                f"Encoder {self.name!r} takes no text. Give a checkpoint such as openai/clip-vit-base-patch32.",
                code="not-image-text",
            )
        return self.model

    def identity(self) -> dict[str, Any]:
        """Return everything that decides the features, ready for JSON."""
        return {
            "weights_sha256": self.weights_sha256,
            "width": self.width,
            "transform": self.transform.as_dict(),
            "dtype": self.dtype,
            "libraries": list(getattr(self.model, "libraries", ())),
        }

    def __repr__(self) -> str:
        crop = f", resized to {self.transform.resize} and cropped" if self.crop else ""
        return f"<Encoder {self.name}: {self.width} features, {self.size} x {self.size} pixels{crop}, {self.device}>"

    def _forward(self, values: torch.Tensor) -> torch.Tensor:
        import torch

        mixed = torch.autocast(self.device.type, torch.bfloat16) if self.dtype == "bfloat16" else nullcontext()
        with torch.inference_mode(), mixed:
            features = self.model(values)
        if not isinstance(features, torch.Tensor):
            features = torch.as_tensor(np.asarray(features))
        if features.ndim != 2 or len(features) != len(values) or features.shape[1] == 0:
            raise MedIMetaError(
                f"Encoder {self.name!r} returns shape {tuple(features.shape)} for {len(values)} image(s); it must "
                "return a vector per image, shape (N, width)."
            )
        return features.float()


def _own_device() -> str:
    """Return this process's GPU (by LOCAL_RANK, set by `accelerate launch` and `torchrun`), or "cpu"."""
    import torch

    if not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{int(os.environ.get('LOCAL_RANK', 0)) % torch.cuda.device_count()}"


def _sha256(model: nn.Module) -> str:
    from .network import weights_sha256

    digest = hashlib.sha256(repr(model).encode())
    digest.update(weights_sha256(model).encode())
    return digest.hexdigest()
