"""The catalogue: all datasets, each with what its `cards/<id>.yaml` says.

Everything that describes a dataset (configs, features, cards, tables, tests) derives from here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import unknown
from .facts import DatasetCard, Kind, Task
from .reading import check_overlaps, read_card


class Catalogue(Mapping[str, DatasetCard]):
    """Mapping from dataset id to `DatasetCard`, in alphabetical order, read on first use.

    Args:
        folder: Folder of the YAML files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _cards(self) -> dict[str, DatasetCard]:
        cards = {path.stem: read_card(path) for path in sorted(self._folder.glob("*.yaml"))}
        for card in cards.values():
            check_overlaps(card, cards)
        return cards

    def __getitem__(self, dataset: str) -> DatasetCard:
        try:
            return self._cards[dataset]
        except KeyError:
            raise unknown("dataset", dataset, self._cards, hint="See: medimeta list") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._cards)

    def __len__(self) -> int:
        return len(self._cards)

    def __contains__(self, dataset: object) -> bool:
        return dataset in self._cards

    def get(self, dataset: str, default: Any = None) -> Any:
        """The card of a dataset, or the default when there is none."""
        return self._cards.get(dataset, default)

    @property
    def domains(self) -> tuple[str, ...]:
        """The imaging domains in alphabetical order."""
        return tuple(sorted({card.domain for card in self.values()}))

    def commercial(self) -> dict[str, DatasetCard]:
        """The datasets whose stated licence allows commercial use."""
        return {name: card for name, card in self.items() if card.licence.commercial}

    def tasks(self, domain: str | None = None, kind: Kind | None = None) -> list[Task]:
        """All tasks, in catalogue order, of one domain and one kind where given.

        Raises:
            UnknownName: If no dataset has the domain, or the kind does not exist.
        """
        if domain is not None and domain.lower() not in (name.lower() for name in self.domains):
            raise unknown("domain", domain, self.domains, hint="See: medimeta list")
        kinds = Kind.__args__  # type: ignore[attr-defined]
        if kind is not None and kind not in kinds:
            raise unknown("kind of task", kind, kinds, hint="See: medimeta list")
        return [
            task
            for card in self.values()
            if domain is None or card.domain.lower() == domain.lower()
            for task in card.tasks
            if kind in (None, task.kind)
        ]


DATASETS = Catalogue(Path(__file__).parent)


def tasks(domain: str | None = None, kind: Kind | None = None) -> list[Task]:
    """List all tasks, or those of a domain or a kind.

    Args:
        domain: An imaging domain, in any case, e.g. "OCT".
        kind: "binary", "multiclass", "multilabel" or "ordinal".

    Returns:
        Tasks in catalogue order.

    Raises:
        UnknownName: If no dataset has the domain, or the kind does not exist.
    """
    return DATASETS.tasks(domain, kind)
