"""Sentences for zero-shot classification: one or several per label, for exactly the labels that are evaluated.

The phrases for a dataset's labels are in `cards/prompts/<id>.yaml`; the sentence templates of each domain are in
`cards/prompts/domains.yaml`. An added dataset has these files next to its own card.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ...cards.catalogue import DATASETS
from ...cards.facts import Task
from ...errors import MedIMetaError, unknown
from ...files.json_values import canonical
from ...files.yaml_values import read_yaml

FOLDER, DOMAINS = "prompts", "domains.yaml"
SHOWS = "{image} showing {label}"
LACKS = "{image} without {label}"
ANSWERS = (("no", "yes"), ("absent", "present"))  # labels that need the name of their task


@dataclass(frozen=True)
class _File:
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012
    image: str | None = None
    shows: list[str] | None = None
    lacks: list[str] | None = None
    tasks: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Templates:
    """Templates of sentences, with the fields `{image}`, `{label}` and `{task}`.

    Attributes:
        shows: Templates for the presence of a label. The vectors of several templates are averaged.
        lacks: Templates for the absence of a label.

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
        shows: Sentences for the presence of each label.
        lacks: Sentences for its absence; only for multilabel tasks, whose labels are independent.
    """

    shows: tuple[tuple[str, ...], ...]
    lacks: tuple[tuple[str, ...], ...] | None

    @property
    def sha256(self) -> str:
        """SHA-256 of all sentences."""
        return hashlib.sha256(canonical([self.shows, self.lacks])).hexdigest()


@dataclass(frozen=True)
class Wording:
    """The content of a dataset's prompt file, completed by that of its domain.

    Attributes:
        image: Description of an image, for the field `{image}`.
        templates: Templates of sentences.
        phrases: Phrase by task and label, for the field `{label}`.
    """

    image: str
    templates: Templates
    phrases: dict[str, dict[str, str]]


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


@cache
def wording_of(dataset: str, file: Path | None = None) -> Wording:
    """Return the wording of sentences for a dataset, from its prompt file and that of its domain.

    Args:
        dataset: Id of the dataset.
        file: The prompt file; by default the one next to the dataset's card, which may be missing.

    Raises:
        MedIMetaError: If a file cannot be read, or names a task or label that the dataset does not have.
    """
    card = DATASETS[dataset]
    folder = DATASETS.path(dataset).parent / FOLDER
    domains: dict[str, _File] = {}
    for path in dict.fromkeys((Path(__file__).parents[2] / "cards" / FOLDER / DOMAINS, folder / DOMAINS)):
        domains |= _read(path, dict[str, _File]) if path.is_file() else {}
    place = file or folder / f"{dataset}.yaml"
    own: _File = _read(place, _File) if file is not None or place.is_file() else _File()
    for name, phrases in own.tasks.items():
        labels = card.task(name).labels
        for label in phrases:
            if label not in labels:
                raise unknown("label", label, labels, hint=f"It is in {place}, task {name!r}.")
    common = domains.get(card.domain, _File())
    shows, lacks = own.shows or common.shows or [SHOWS], own.lacks or common.lacks or [LACKS]
    image = own.image or common.image or f"{card.domain} image"
    return Wording(image, Templates(tuple(shows), tuple(lacks)), own.tasks)


def _read(path: Path, form: Any) -> Any:
    from pydantic import TypeAdapter, ValidationError

    try:
        content = read_yaml(path.read_bytes())
        return TypeAdapter(form).validate_python(content)
    except (OSError, ValueError) as error:
        reason = str(error)
        if isinstance(error, ValidationError):
            problem = error.errors()[0]
            reason = f"{'.'.join(map(str, problem['loc'])) or 'the file'}: {problem['msg']}"
        raise MedIMetaError(
            f"The prompt file {path} cannot be read ({reason}). Its keys are image, shows, lacks and tasks; see "
            "cards/prompts/bus.yaml."
        ) from None
