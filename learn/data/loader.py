"""A view as batches of tensors, or as arrays. torch is imported only when `loader` is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset

from ...errors import MedIMetaError, missing_extra, unknown

if TYPE_CHECKING:
    import torch

    from .augmentation.augment import Augmentation
    from .batches import Loader


def loader(
    view: Dataset,
    batch_size: int = 64,
    *,
    shuffle: bool = False,
    augment: bool | Augmentation | Callable[..., Any] = False,
    dtype: torch.dtype | str = "float32",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    device: torch.device | str | None = None,
    drop_last: bool = False,
    seed: int = 0,
    store: bool = True,
) -> Loader:
    """Serve a view as batches of tensors, several times faster than a `DataLoader` over it.

        train = medimeta.loader(medimeta.load_task("pbc"), 64, shuffle=True, augment=True, device="cuda")
        for epoch in range(10):
            for batch in train:
                loss = model(**batch).loss

    Images are decoded once, into a file in the cache of `datasets`. A thread prepares the next batch while one is in
    use, so no worker processes are needed.

    Args:
        view: A view from `medimeta.load_task`.
        batch_size: Images per batch; the last batch may have fewer.
        shuffle: Whether rows come in random order, a new one in every epoch.
        augment: True for the published training augmentation (flips, crops, rotation), an `Augmentation` of other
            operations, or any callable that takes and returns an image, such as a transform of torchvision (v2),
            Albumentations or Kornia; see `learn.data.augmentation.stand_in`.
        dtype: "float32", "bfloat16" or "float16" for normalised images, shape (N, 3, height, width), or "uint8" for
            pixels from 0 to 255, shape (N, height, width, channels). The same as a torch.dtype.
        mean: Mean per channel of the model's input, on a scale from 0 to 1; that of ImageNet by default.
        std: Standard deviation per channel, on the same scale.
        device: Device of the batches, e.g. "cuda"; augmentation and normalisation run there.
        drop_last: Whether to leave out a last batch with fewer images.
        seed: Seed of order and augmentation, 0 or more.
        store: False decodes images each time, without a file in the cache.

    Returns:
        An iterable of dicts with `pixel_values` and `labels`, with a length. Every pass over it is the next epoch.

    Raises:
        MissingExtra: If torch is not installed.
        UnknownName: If the dtype does not exist.
        MedIMetaError: If a row has no label or no usable image, the view is streamed, or a number is out of range.
    """
    try:
        import torch
    except ModuleNotFoundError:
        raise missing_extra("torch", "train", "medimeta.loader") from None
    from .augmentation.augment import Augmentation
    from .batches import Loader
    from .normalise import FLOATS, IMAGENET_MEAN, IMAGENET_STD
    from .pixel_dataset import PixelDataset

    _check_view(view, "loader")
    dtypes = {str(known).removeprefix("torch."): known for known in (*FLOATS, torch.uint8)}
    name = str(dtype).removeprefix("torch.")
    if name not in dtypes:
        raise unknown("dtype", name, dtypes, hint="Give dtype= one of them.")
    dataset = PixelDataset(
        view,
        dtype=dtypes[name],
        mean=IMAGENET_MEAN if mean is None else mean,
        std=IMAGENET_STD if std is None else std,
        augmentation=Augmentation() if augment is True else augment or None,
        seed=seed,
        store=store,
    )
    return Loader(dataset, batch_size, shuffle=shuffle, drop_last=drop_last, device=device)


def to_numpy(view: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the images and labels of a view as arrays in memory, for scikit-learn and other libraries.

        images, labels = medimeta.to_numpy(medimeta.load_task("bus"))

    Args:
        view: A view from `medimeta.load_task`.

    Returns:
        Images as published, or in the view's mode: uint8, shape (N, 224, 224, channels), values 0 to 255. Labels: int64
        ids, shape (N,), -1 where a label is unknown; multilabel: float32 of 0, 1 and NaN (unknown), shape (N, k).

    Raises:
        MedIMetaError: If this is not a view, or an image is damaged.
    """
    from .pixels import pixels

    _check_view(view, "to_numpy")
    images = pixels(view).take(range(len(view)))
    if getattr(view.features["image"], "mode", None) == "RGB" and images.shape[-1] == 1:
        images = np.repeat(images, 3, axis=-1)
    labels = view.select_columns(["label"]).with_format("arrow")[:]["label"]
    if hasattr(view.features["label"], "names"):
        return images, labels.fill_null(-1).to_numpy().astype(np.int64)
    return images, np.array(labels.to_pylist(), np.float32).reshape(len(view), -1)


def _check_view(view: object, function: str) -> None:
    if not isinstance(view, Dataset):
        what = "streamed rows" if type(view).__name__ == "IterableDataset" else f"a {type(view).__name__}"
        raise MedIMetaError(
            f"medimeta.{function} takes a view, not {what}: medimeta.{function}(medimeta.load_task(...))."
        )
    if missing := {"image", "label"} - set(view.column_names):
        raise MedIMetaError(
            f"medimeta.{function} takes a view of one task; these rows have no column "
            f"{' and no column '.join(sorted(missing))}. Load one task: medimeta.load_task(...)."
        )
