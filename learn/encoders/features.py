"""`medimeta.features`: the features of a split, computed once and kept in the cache."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from datasets import Dataset
from datasets.utils import tqdm

from ...builders.loading import load_dataset
from ...cards.catalogue import DATASETS
from ...cards.split_names import split_names
from ...errors import MedIMetaError
from ...files.parallel import ordered_map
from ..data.corruptions.images import CorruptedImage
from ..data.pixels import PixelStore
from ..data.store import find_or_build
from .encoder import Encoder
from .feature_banks import published
from .feature_banks.banks import Bank, nearest
from .feature_banks.identity import identity
from .feature_banks.shards import complete
from .loading import encoder as as_encoder

BATCH, BATCH_ON_GPU = 32, 256

log = logging.getLogger(__name__)


def features(
    encoder: str | Encoder,
    dataset: str,
    *,
    split: str = "train",
    data_dir: str | os.PathLike[str] | None = None,
    batch_size: int | None = None,
    repo: str | None = None,
    **options: Any,
) -> np.ndarray:
    """Return the features of a split in the order of its rows; they are computed once and kept in the cache.

        vectors = medimeta.features("microsoft/resnet-18", "bus", split="train")
        labels = medimeta.load_task("bus", split="train")["label"]

    The cache is that of `datasets`; `medimeta cache` lists and deletes features. An interrupted computation continues
    where it stopped. Processes that compute the same features at once share the work.

    Args:
        encoder: An encoder from `medimeta.encoder`, or the name of one.
        dataset: Id of the dataset.
        split: "train", "validation" (or "val"), "test", or several joined with "+".
        data_dir: Where the data are, as for `medimeta.load_dataset`.
        batch_size: Images per pass; by default 32, and 256 on a GPU, where it is halved until a batch fits into memory.
            It changes features only by rounding errors.
        repo: A dataset repository on the Hub with features that `medimeta features push` published. Those of the same
            images, weights and preprocessing are downloaded instead of computed, also if they were computed with other
            versions of the libraries, which is reported.
        **options: Further arguments of `medimeta.load_dataset`, e.g. `partial=True`.

    Returns:
        float32, shape (N, width). For one split it is memory-mapped and read-only; several are joined in memory.

    Raises:
        UnknownName: If the dataset, split or option does not exist.
        SourceNotFound: If there are no data.
        MedIMetaError: If the encoder or an image cannot be used, or the cache cannot be written.
    """
    card = DATASETS[dataset]
    names = split_names(split)
    chosen = as_encoder(encoder)
    parts = []
    for name in names:
        rows = load_dataset(card.id, split=name, data_dir=data_dir, **options)
        parts.append(features_of(chosen, rows, card.id, name, batch_size=batch_size, repo=repo))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def features_of(
    encoder: Encoder,
    rows: Dataset,
    dataset: str,
    split: str,
    *,
    batch_size: int | None = None,
    repo: str | None = None,
) -> np.ndarray:
    """Return the features of rows: float32, shape (N, width); see `features`.

    Args:
        encoder: The encoder.
        rows: Rows with a column `image`.
        dataset: Id of the rows' dataset.
        split: Name of the rows' split.
        batch_size: Images per pass.
        repo: A repository with published features.

    Raises:
        MedIMetaError: If the batch size is below 1, an image cannot be used, or the cache cannot be written.
    """
    if batch_size is None:
        batch_size = BATCH if encoder.device.type == "cpu" else BATCH_ON_GPU
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise MedIMetaError(f"batch_size is {batch_size!r}; it must be a whole number, 1 or more.")
    pixels = pixels_of(rows)
    about = {"encoder": encoder.name, "dataset": dataset, "split": split, "licence": DATASETS[dataset].licence.id}
    bank = Bank.of(identity(encoder.identity(), pixels.path.stem, len(rows)), about)
    if (finished := bank.open()) is not None:
        return finished
    try:
        bank.path.parent.mkdir(parents=True, exist_ok=True)
        if repo is not None and (downloaded := published.find(repo, bank)) is not None:
            return downloaded
        if different := nearest(bank):
            log.warning(
                "Features of %s, split %s, by %s are computed again: %s.",
                *(about[name] for name in ("dataset", "split", "encoder")),
                "; ".join(different),
            )
        ids = np.array(rows.with_format(None)["index"]) if "index" in rows.column_names else None
        with tqdm(total=len(rows), desc=f"{dataset} {split}", unit=" images") as bar:
            return complete(bank, _extractor(encoder, pixels, batch_size, bar.update), bar.update, ids)
    except OSError as error:
        if isinstance(error, MedIMetaError):
            raise
        raise MedIMetaError(
            f"The feature bank {bank.path} cannot be written: {error}. Move the cache to another folder with "
            "HF_DATASETS_CACHE."
        ) from error


def pixels_of(rows: Dataset) -> PixelStore:
    """Return the decoded images of rows; the name of the file is a hash of the pixels.

    Raises:
        MedIMetaError: If the images are corrupted when they are decoded, since the file holds the original pixels.
    """
    if isinstance(rows.features["image"], CorruptedImage):
        raise MedIMetaError(
            "Features of corrupted images are not kept in the cache. Encode them: encoder.images(pixels)",
            code="corrupted-images",
        )
    return PixelStore(find_or_build(rows.select_columns(["image"]).with_format("arrow")))


def _extractor(
    encoder: Encoder, pixels: PixelStore, batch_size: int, done_images: Callable[[int], object]
) -> Callable[[range], np.ndarray]:
    """Return a function from rows to features; batches that do not fit into the GPU's memory are halved."""
    import torch

    size = batch_size

    def prepare(part: range) -> torch.Tensor:
        return encoder.transform(pixels.take(part), encoder.device)

    def forward(values: torch.Tensor) -> Iterator[np.ndarray]:
        nonlocal size
        done = 0
        while done < len(values):
            try:
                batch = encoder.forward(values[done : done + size])
            except torch.OutOfMemoryError:
                if size == 1:
                    raise MedIMetaError(
                        f"One image is too much for the memory of {encoder.device} with encoder {encoder.name!r}. Use "
                        "another device, or dtype bfloat16."
                    ) from None
                size //= 2
                continue
            done += len(batch)
            done_images(len(batch))
            yield batch

    def encode(part: range) -> np.ndarray:
        batches = [part[start : start + size] for start in range(0, len(part), size)]
        with ThreadPoolExecutor(1) as executor:  # prepares the next batch while the model works
            return np.concatenate(
                [one for values in ordered_map(prepare, batches, executor, 2) for one in forward(values)]
            )

    return encode
