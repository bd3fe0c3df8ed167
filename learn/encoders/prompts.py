"""Sentences for zero-shot classification: one or several per label, for exactly the labels that are evaluated.

The phrases and templates come from `cards.wording`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...cards.facts import Task
from ...cards.wording import LACKS, SHOWS, Templates, wording_of
from ...files.json_values import canonical

ANSWERS = (("no", "yes"), ("absent", "present"))  # labels that need the name of their task

__all__ = ["LACKS", "SHOWS", "Prompts", "Templates", "prompts_of", "wording_of"]


@dataclass(frozen=True)
class Prompts:
    """Sentences of a task, a tuple per label.

    Attributes:
        shows: Sentences for the presence of each label.
        lacks: Sentences for its absence; only for multilabel tasks, whose labels are independent.
    """

    shows: tuple[tuple[str, ...], ...]
    lacks: tuple[tuple[str, ...], ...] | None

    @property
    def sha256(self) -> str:
        """SHA-256 of all sentences."""
        return hashlib.sha256(canonical([self.shows, self.lacks])).hexdigest()


def prompts_of(
    task: Task, templates: Templates | None = None, *, file: str | os.PathLike[str] | None = None
) -> Prompts:
    """Return the sentences of a task, or of the task of an episode.

        >>> import medimeta
        >>> prompts_of(medimeta.DATASETS["aml"].tasks[0]).shows[0][0]
        'a microscope image of a cell showing a basophil'

    A label without a phrase is described by its name; labels such as "no" and "yes", by the name of the task.

    Args:
        task: The task; only its labels are described.
        templates: Templates; those of the prompt file by default.
        file: Prompt file of the dataset; by default `cards/prompts/<id>.yaml`.

    Raises:
        MedIMetaError: If a prompt file cannot be read, or names a task or label that the dataset does not have.
    """
    wording = wording_of(task.dataset, None if file is None else Path(file))
    templates = templates or wording.templates
    phrases = wording.phrases.get(task.name, {})

    def filled(wanted: Sequence[str], label: str) -> tuple[str, ...]:
        return tuple(template.format(image=wording.image, label=label, task=task.name) for template in wanted)

    if not phrases and tuple(label.lower() for label in task.labels) in ANSWERS:
        return Prompts((filled(templates.lacks, task.name), filled(templates.shows, task.name)), None)
    words = [phrases.get(label, label.replace("_", " ")) for label in task.labels]
    shows = tuple(filled(templates.shows, label) for label in words)
    lacks = tuple(filled(templates.lacks, label) for label in words)
    return Prompts(shows, lacks if task.kind == "multilabel" else None)
