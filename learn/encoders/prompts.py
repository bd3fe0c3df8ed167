"""Sentences for zero-shot classification: one or several per label, for exactly the labels that are evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...cards.catalogue import DATASETS
from ...cards.facts import Task
from ...errors import MedIMetaError

IMAGES = {  # how an image of a domain is described
    "Abdominal CT": "an abdominal CT scan",
    "Breast ultrasound": "a breast ultrasound image",
    "Chest X-ray": "a chest X-ray",
    "Clinical skin photography": "a clinical photograph of skin",
    "Dermatoscopy": "a dermatoscopic image of skin",
    "Histopathology": "a histopathology image",
    "Mammography": "a mammogram",
    "Microscopy": "a microscope image of a cell",
    "OCT": "an OCT scan of a retina",
    "Retinal fundus": "a retinal fundus photograph",
}
SHOWS = "{image} showing {label}"
LACKS = "{image} without {label}"
ANSWERS = (("no", "yes"), ("absent", "present"))  # labels that need the name of their task
WORDS = {"F": "a female patient", "M": "a male patient", "Suspect": "suspected glaucoma"}


@dataclass(frozen=True)
class Templates:
    """Templates of sentences, with the fields `{image}`, `{label}` and `{task}`.

    Attributes:
        shows: Templates for the presence of a label. The vectors of several are averaged.
        lacks: Templates for its absence.

    Raises:
        MedIMetaError: If a template has other fields.
    """

    shows: tuple[str, ...] = (SHOWS,)
    lacks: tuple[str, ...] = (LACKS,)

    def __post_init__(self) -> None:
        for template in (*self.shows, *self.lacks):
            try:
                template.format(image="", label="", task="")
            except (KeyError, IndexError, ValueError) as error:
                raise MedIMetaError(
                    f"Template {template!r} cannot be filled in ({error}). Its fields are {{image}}, {{label}} and "
                    "{task}; write {{ for a brace."
                ) from None


@dataclass(frozen=True)
class Prompts:
    """Sentences of a task, a tuple per label.

    Attributes:
        shows: That the label is present.
        lacks: That it is absent; only for multilabel tasks, whose labels are independent.
    """

    shows: tuple[tuple[str, ...], ...]
    lacks: tuple[tuple[str, ...], ...] | None


def prompts_of(task: Task, templates: Templates | None = None) -> Prompts:
    """Return the sentences of a task, or of the task of an episode.

        >>> import medimeta
        >>> prompts_of(medimeta.DATASETS["oct"].task("urgent referral")).shows
        (('an OCT scan of a retina without urgent referral',), ('an OCT scan of a retina showing urgent referral',))

    Labels such as "no" and "yes" are described by the name of the task.

    Args:
        task: The task; only its labels are described.
        templates: Templates; `SHOWS` and `LACKS` by default.
    """
    templates = templates or Templates()
    domain = DATASETS[task.dataset].domain
    image = IMAGES.get(domain, f"{domain} image")

    def filled(wanted: Sequence[str], label: str) -> tuple[str, ...]:
        return tuple(template.format(image=image, label=label, task=task.name) for template in wanted)

    if tuple(label.lower() for label in task.labels) in ANSWERS:
        return Prompts((filled(templates.lacks, task.name), filled(templates.shows, task.name)), None)
    words = [WORDS.get(label, label.replace("_", " ")) for label in task.labels]
    shows = tuple(filled(templates.shows, label) for label in words)
    lacks = tuple(filled(templates.lacks, label) for label in words)
    return Prompts(shows, lacks if task.kind == "multilabel" else None)
