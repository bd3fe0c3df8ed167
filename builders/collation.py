"""Let a plain `DataLoader` batch the images of a view.

`torch.utils.data.default_collate` has a table of types for others to extend. Without these
entries it refuses Pillow images.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import MedIMetaError
from ..files.imports import when_imported

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor


def register() -> None:
    """Extend `default_collate` by Pillow images, now or as soon as torch is imported.

    An entry of another library stays.
    """
    when_imported("torch", _extend)


def stack_images(batch: Sequence[Image.Image], *, collate_fn_map: Any = None) -> Tensor:
    """Return images as one tensor, as `with_format("torch")` has them: uint8, shape (N, channels, height, width)."""
    import numpy as np
    import torch

    pixels = np.stack([np.asarray(image) for image in batch])
    pixels = pixels[:, None] if pixels.ndim == 3 else np.moveaxis(pixels, -1, 1)
    return torch.from_numpy(np.ascontiguousarray(pixels))


def refuse_none(batch: Sequence[None], *, collate_fn_map: Any = None) -> NoReturn:
    """Say what to do about a column without values.

    Raises:
        MedIMetaError: Always.
    """
    raise MedIMetaError(
        "A row has a column without a value (None), which PyTorch cannot batch. Take the view of a task, "
        "medimeta.load_task(...), or keep the columns and rows with values: select_columns(...), filter(...)."
    )


def _extend() -> None:
    images = importlib.import_module("PIL.Image")
    table = getattr(importlib.import_module("torch.utils.data._utils.collate"), "default_collate_fn_map", {})
    table.setdefault(images.Image, stack_images)
    table.setdefault(type(None), refuse_none)
