"""Audit a task by features: labels that a linear probe contradicts, and pairs of nearly identical images."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd
import torch
from datasets import concatenate_datasets

from ...builders.loading import load_dataset
from ...cards.catalogue import DATASETS, TaskLike
from ...cards.facts import SPLITS, Task
from ..encoders.encoder import Encoder
from ..encoders.features import features_of
from ..encoders.loading import encoder as as_encoder
from ..encoders.probe import Standardisation, fit_path
from ..episodes.rows import labels_and_subjects
from ..evaluation.measures.scores import probabilities
from ..leakage.suspects import folds, near_duplicates, suspect_labels

STRENGTH = 1e-3  # C of the probes, on standardised features
SIMILARITY = 0.95


def audit_features(
    encoder: str | Encoder,
    dataset: TaskLike,
    task: str | Task | None = None,
    *,
    similarity: float = SIMILARITY,
    data_dir: str | os.PathLike[str] | None = None,
    **options: Any,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the images of a dataset whose labels are suspect, and pairs with nearly the same features.

    Probabilities come from linear probes that were fitted on the other four fifths of the dataset, without copies of
    the image and other images of its subject.

    Args:
        encoder: An encoder, or its name.
        dataset: Id of the dataset, or its task.
        task: Name of the task; the main task by default.
        similarity: Smallest cosine similarity of pairs, -1 to 1.
        data_dir: Where the data are, as for `medimeta.load_dataset`.
        **options: Further arguments of `medimeta.load_dataset`.

    Returns:
        A table of suspect labels, the most suspect first, with the columns `original_filepath`, `split`, `index`,
        `label`, `suggested` and `margin` (for multilabel tasks a row per label, with names "LABEL" and "not LABEL").
        And a table of pairs, the most similar first: path and label of both images, and `similarity`.

    Raises:
        UnknownName: If the dataset, task or option does not exist.
        SourceNotFound: If there are no data.
        MedIMetaError: If the encoder or an image cannot be used.
    """
    chosen, model = DATASETS.find_task(dataset, task), as_encoder(encoder)
    loaded = load_dataset(chosen.dataset, data_dir=data_dir, **options)
    parts = {split: loaded[split] for split in SPLITS if split in loaded}
    features = np.concatenate([features_of(model, rows, chosen.dataset, split) for split, rows in parts.items()])
    labels, subjects = labels_and_subjects(concatenate_datasets(list(parts.values())), chosen)
    columns = ["original_filepath", "index"]
    table = pd.concat(
        [rows.select_columns(columns).to_pandas().assign(split=split) for split, rows in parts.items()],
        ignore_index=True,
    )
    suspects = [
        table.iloc[suspect.rows].assign(
            label=[names[label] for label in ids[suspect.rows]],
            suggested=[names[label] for label in suspect.suggested],
            margin=suspect.margin,
        )
        for ids, names, scores in _questions(chosen, labels, cross_validated(chosen, features, labels, subjects))
        for suspect in [suspect_labels(scores, ids)]
    ]
    listed = pd.concat(suspects).sort_values("margin", ascending=False, kind="stable", ignore_index=True)
    shown = [_shown(chosen, label) for label in labels]
    pairs = [
        (table["original_filepath"][one], shown[one], table["original_filepath"][other], shown[other], cosine)
        for one, other, cosine in near_duplicates(features, similarity)
    ]
    heads = ["original_filepath", "label", "other_filepath", "other_label", "similarity"]
    return listed, pd.DataFrame(pairs, columns=heads)


def cross_validated(task: Task, features: np.ndarray, labels: np.ndarray, subjects: list[str | None]) -> np.ndarray:
    """Return probabilities of each row by a probe that was fitted on the other folds.

    Args:
        task: The task.
        features: Shape (N, width).
        labels: As for `evaluate_scores`; unknown labels are allowed.
        subjects: Subject of each row; rows of one subject are in one fold.

    Returns:
        float64, shape (N, k).
    """
    fold = folds(subjects)
    known = ~np.isnan(labels).all(axis=1) if labels.ndim == 2 else labels >= 0
    scores = np.zeros((len(labels), len(task.labels)))
    for number in np.unique(fold):
        fitted, held_out = torch.from_numpy(features[(fold != number) & known]), fold == number
        scale = Standardisation.of(fitted)
        (probe,) = fit_path(task, scale(fitted), labels[(fold != number) & known], [STRENGTH])
        logits = probe.logits(scale(torch.from_numpy(features[held_out]))).double().cpu().clamp(min=-1e3).numpy()
        predicted = probabilities(task, logits)
        scores[held_out] = np.stack([1 - predicted, predicted], axis=1) if predicted.ndim == 1 else predicted
    return scores


def _questions(task: Task, labels: np.ndarray, scores: np.ndarray) -> list[tuple[np.ndarray, list[str], np.ndarray]]:
    """Return ids, names and probabilities of the classes of a task; for a multilabel task, those of each label."""
    if task.kind != "multilabel":
        return [(labels, list(task.labels), scores)]
    return [
        (
            np.where(np.isnan(of_label), -1, of_label).astype(int),
            [f"not {name}", name],
            np.stack([1 - score, score], axis=1),
        )
        for name, of_label, score in zip(task.labels, labels.T, scores.T, strict=True)
    ]


def _shown(task: Task, label: np.ndarray) -> str | None:
    if task.kind == "multilabel":
        present = [name for name, value in zip(task.labels, label, strict=True) if value == 1]
        return None if np.isnan(label).all() else ", ".join(present)
    return None if label < 0 else task.labels[int(label)]
