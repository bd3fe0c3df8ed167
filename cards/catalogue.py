"""The catalogue: all datasets, as described by their `cards/<id>.yaml`.

Everything that describes a dataset (configs, features, dataset cards, tables, tests) derives from it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import CatalogueError, MedIMetaError, UnknownName, unknown
from . import plugins
from .display import html_table
from .facts import DatasetCard, Kind, Task
from .reading import check_overlaps, read_card, read_facts

TaskLike = Task | DatasetCard | str | tuple[str, str | None]


class Catalogue(Mapping[str, DatasetCard]):
    """Mapping from dataset id to `DatasetCard`, in alphabetical order, read on first use.

    Args:
        folder: Folder of the YAML files.
        others: Returns further folders, by the name of the package that holds their source modules.
    """

    def __init__(self, folder: Path, others: Callable[[], Mapping[str, Path]] = dict) -> None:
        self._folder = folder
        self._others = others

    def reload(self) -> None:
        """Read the YAML files again on next use."""
        for name in ("_paths", "_cards"):
            self.__dict__.pop(name, None)

    @cached_property
    def _paths(self) -> dict[str, tuple[Path, str | None]]:
        """Per dataset its YAML file and the package that holds its source module (None: this one)."""
        paths: dict[str, tuple[Path, str | None]] = {}
        for package, folder in ((None, self._folder), *self._others().items()):
            for path in folder.glob("*.yaml"):
                if path.stem in paths:
                    raise CatalogueError(f"{path}: there is a dataset {path.stem!r} already: {paths[path.stem][0]}")
                paths[path.stem] = path, package
        return dict(sorted(paths.items()))

    def package(self, dataset: str) -> str | None:
        """Return the package that holds the source module of a dataset; None for the datasets of this project.

        Raises:
            UnknownName: If the dataset does not exist.
        """
        return self._paths[self[dataset].id][1]

    def path(self, dataset: str) -> Path:
        """Return the YAML file of a dataset.

        Raises:
            UnknownName: If the dataset does not exist.
        """
        return self._paths[self[dataset].id][0]

    @cached_property
    def _cards(self) -> dict[str, DatasetCard]:
        cards = {name: read_card(path) for name, (path, _) in self._paths.items()}
        for card in cards.values():
            check_overlaps(card, cards)
        domains = {name: card.domain for name, card in cards.items()}
        return {
            name: replace(card, domain_overlaps=tuple(n for n, d in domains.items() if d == card.domain and n != name))
            for name, card in cards.items()
        }

    def __getitem__(self, dataset: str | DatasetCard) -> DatasetCard:
        if isinstance(dataset, DatasetCard):
            dataset = dataset.id
        if not isinstance(dataset, str):
            raise UnknownName(f'A dataset is named by its id, e.g. "bus", not by {dataset!r:.80}. See: medimeta list')
        try:
            return self._cards[dataset]
        except KeyError:
            raise unknown("dataset", dataset, self._cards, hint=self._hint(dataset)) from None

    def _hint(self, name: str) -> str:
        """Return the next step after a name that is not an id."""
        if name == "medimeta":
            return 'Give the id alone: medimeta.load_dataset("bus").'
        if (dataset := name.partition("/")[0]) in self:
            return f"This is the name of a task: medimeta.load_task({name!r}); all tasks: {dataset!r}."
        return "See: medimeta list"

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, dataset: object) -> bool:
        return isinstance(dataset, str) and dataset in self._paths

    def __repr__(self) -> str:
        return f"<{len(self)} datasets, {len(self.tasks())} tasks: {', '.join(self)}>"

    def _repr_html_(self) -> str:
        rows = [
            (card.id, card.name, card.domain, f"{card.total:,}", ", ".join(t.name for t in card.tasks), card.licence.id)
            for card in self.values()
        ]
        columns = ("id", "dataset", "domain", "images", "tasks (main first)", "licence")
        return html_table(f"{len(self)} datasets, {len(self.tasks())} tasks", columns, rows)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def get(self, dataset: str, default: Any = None) -> Any:
        """Return the card of a dataset, or `default` if there is none."""
        return self._cards.get(dataset, default)

    def facts(self, dataset: str) -> dict[str, Any]:
        """Return the content of one card file without checking it: quick, for shell completion."""
        return read_facts(self._paths[dataset][0])

    @property
    def domains(self) -> tuple[str, ...]:
        """The imaging domains in alphabetical order."""
        return tuple(sorted({card.domain for card in self.values()}))

    def commercial(self) -> dict[str, DatasetCard]:
        """Return the datasets whose stated licence allows commercial use."""
        return {name: card for name, card in self.items() if card.licence.commercial}

    def tasks(self, domain: str | None = None, kind: Kind | None = None) -> list[Task]:
        """Return all tasks in catalogue order, optionally of one domain and one kind.

        Raises:
            UnknownName: If the domain or kind does not exist.
        """
        if domain is not None and domain.lower() not in (name.lower() for name in self.domains):
            hint = f"Tasks of one dataset: medimeta.DATASETS[{domain!r}].tasks." if domain in self else ""
            raise unknown("domain", domain, self.domains, hint=hint or "See: medimeta list")
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

    def find_task(self, task: TaskLike, name: str | Task | None = None) -> Task:
        """Find a task, however it is named.

        Args:
            task: A `Task` (returned as it is), "id" or a card (the dataset's main task), "id/task", or (id, task).
            name: Name or column of the task, or a `Task`, if `task` is only the id of its dataset.

        Raises:
            UnknownName: If the dataset or task does not exist, if `name` is a task of another dataset, or if a task is
                named in another way.
        """
        own: str | Task | None
        if isinstance(task, Task):
            dataset, own = task.dataset, task
        elif isinstance(task, DatasetCard):
            dataset, own = task.id, None
        elif isinstance(task, str):
            dataset, _, own = task.partition("/")
        elif isinstance(task, tuple) and len(task) == 2:
            dataset, own = task
        else:
            raise UnknownName(
                f'A task is a Task, "id", "id/task" or (id, task), not {task!r:.80}. For example: "bus/malignancy".'
            )
        if own and name:
            raise UnknownName(f"Two tasks are named: {own!r} and {name!r}. Give one.")
        wanted = own or name
        if not isinstance(wanted, Task):
            card = self[dataset]
            return card.task(wanted) if wanted else card.tasks[0]
        if wanted.dataset != dataset:
            raise UnknownName(f"{wanted!r} is not a task of {dataset}. See: medimeta info {dataset}")
        return wanted


DATASETS = Catalogue(Path(__file__).parent, plugins.folders)


def add_cards(folder: str | os.PathLike[str]) -> tuple[str, ...]:
    """Add the datasets of a folder to `DATASETS`, for this process and the processes that it starts.

    The folder holds a `<id>.yaml` per dataset and its modules, as `medimeta new-dataset` writes them. For a dataset
    that is always there, install them as a package instead.

    Args:
        folder: The folder.

    Returns:
        Ids of the added datasets.

    Raises:
        SourceNotFound: If the folder holds no cards.
        CatalogueError: If a card is invalid, or if its dataset exists already.
    """
    before = os.environ.get(plugins.VARIABLE)
    place = Path(folder).expanduser().absolute()
    try:
        plugins.add(place)
        DATASETS.reload()
        return tuple(name for name in DATASETS if DATASETS.path(name).parent == place)
    except MedIMetaError:
        if before is None:
            os.environ.pop(plugins.VARIABLE, None)
        else:
            os.environ[plugins.VARIABLE] = before
        DATASETS.reload()
        raise


def tasks(domain: str | None = None, kind: Kind | None = None, *, target: Kind | None = None) -> list[Task]:
    """List all tasks, or those of a domain or a kind.

    Args:
        domain: An imaging domain, in any case, e.g. "OCT".
        kind: "binary", "multiclass", "multilabel" or "ordinal".
        target: Deprecated name of `kind`.

    Returns:
        Tasks in catalogue order.

    Raises:
        UnknownName: If the domain or kind does not exist.
    """
    if target is not None:
        warnings.warn("tasks(target=...) is deprecated, use tasks(kind=...).", DeprecationWarning, stacklevel=2)
    return DATASETS.tasks(domain, target if kind is None else kind)
