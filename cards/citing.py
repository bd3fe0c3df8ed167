"""Citations and attribution for the datasets used: `medimeta.cite` and `medimeta cite`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

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


@dataclass(frozen=True, repr=False)
class Citation:
    """Citations and attribution; printed, a BibTeX file with the attribution as comments.

    Attributes:
        bibtex: Entries without duplicates, that of MedIMeta first.
        attribution: One line per dataset and source: title, authors, address, terms, and what was changed.
    """

    bibtex: tuple[str, ...]
    attribution: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(f"% {line}" for line in self.attribution) + "\n\n" + "\n\n".join(self.bibtex)

    __repr__ = __str__  # at a prompt, show the entries as they are copied

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def cite(*datasets: str | DatasetCard | Iterable[str]) -> Citation:
    """Return what to cite, and the attribution that the licences require.

    >>> print(cite("bus"))  # doctest: +ELLIPSIS
    % bus: ...

    Args:
        *datasets: Ids or cards of the datasets used, or lists of them; all datasets by default.

    Raises:
        UnknownName: If a dataset does not exist.
    """
    single = (str, DatasetCard)
    names = [name for given in datasets for name in ([given] if isinstance(given, single) else given)]
    cards = list({DATASETS[name].id: DATASETS[name] for name in names or DATASETS}.values())
    lines = [_attribution(card) for card in cards]
    return Citation((MEDIMETA, *entries(cards)), tuple(line for of_card in lines for line in of_card))


def entries(cards: Iterable[DatasetCard]) -> list[str]:
    """Return the BibTeX entries of the datasets' sources, without duplicates, sorted by key."""
    distinct = {entry.strip() for card in cards for source in card.sources for entry in source.bibtex}
    return sorted(distinct, key=lambda entry: re.sub(r"^@\w+\{", "", entry).lower())


def _attribution(card: DatasetCard) -> list[str]:
    use = "commercial use allowed" if card.licence.commercial else "no commercial use"
    changes = "The images were converted to 224x224 pixels and the labels to a common format."
    return [
        f"{card.id}: {source.title}, by {source.authors}, {source.url}. Licence: {source.licence_text}. {changes} "
        f"This copy: {card.licence.id}, {use}."
        for source in card.sources
    ]
