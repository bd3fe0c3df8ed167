"""What to cite and whom to name when datasets are used: `medimeta.cite` and `medimeta cite`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .catalogue import DATASETS
from .facts import DatasetCard

MEDIMETA = """\
@article{woerner2025medimeta,
  title = {A comprehensive and easy-to-use multi-domain multi-task medical imaging meta-dataset},
  author = {Woerner, Stefano and Jaques, Arthur and Baumgartner, Christian F.},
  journal = {Scientific Data},
  year = {2025},
  doi = {10.1038/s41597-025-04866-4}
}"""


@dataclass(frozen=True)
class Citation:
    """What datasets ask of those who use them; printed, it is a BibTeX file with the attribution as comments.

    Attributes:
        bibtex: The entries, MedIMeta's own first; each once, however many datasets share it.
        attribution: A line per dataset and source: title, authors, address, terms, and what was changed.
    """

    bibtex: tuple[str, ...]
    attribution: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(f"% {line}" for line in self.attribution) + "\n\n" + "\n\n".join(self.bibtex)


def cite(*datasets: str) -> Citation:
    """What to cite, and the attribution that the licences ask for.

    >>> print(cite("bus"))  # doctest: +ELLIPSIS
    % bus: ...

    Args:
        *datasets: Ids of the datasets used; all by default.

    Raises:
        UnknownName: If there is no such dataset.
    """
    cards = [DATASETS[name] for name in dict.fromkeys(datasets or DATASETS)]
    lines = [_attribution(card) for card in cards]
    return Citation((MEDIMETA, *entries(cards)), tuple(line for of_card in lines for line in of_card))


def entries(cards: Iterable[DatasetCard]) -> list[str]:
    """The BibTeX entries of the sources of some datasets, each once, in the order of their keys."""
    found = {entry.strip() for card in cards for source in card.sources for entry in source.bibtex}
    return sorted(found, key=lambda entry: re.sub(r"^@\w+\{", "", entry).lower())


def _attribution(card: DatasetCard) -> list[str]:
    use = "commercial use allowed" if card.licence.commercial else "no commercial use"
    changes = "The images were made 224x224 pixels and the labels brought into one form."
    return [
        f"{card.id}: {source.title}, by {source.authors}, {source.url}. Licence: {source.licence_text}. {changes} "
        f"This copy: {card.licence.id}, {use}."
        for source in card.sources
    ]
