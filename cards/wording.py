"""How the images and labels of a dataset are described in sentences, for zero-shot classification and questions.

The phrases for a dataset's labels are in `cards/prompts/<id>.yaml`; the sentence templates of each domain are in
`cards/prompts/domains.yaml`. An added dataset has these files next to its own card.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import MedIMetaError, unknown
from ..files.yaml_values import read_yaml
from .catalogue import DATASETS

FOLDER, DOMAINS = "prompts", "domains.yaml"
SHOWS = "{image} showing {label}"
LACKS = "{image} without {label}"


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
    for path in dict.fromkeys((Path(__file__).parent / FOLDER / DOMAINS, folder / DOMAINS)):
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
