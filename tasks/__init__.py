"""What a learner does with the data: one task as a view, its metrics, and what the training examples share."""

from __future__ import annotations

import sys
from types import ModuleType

from ..cards.catalogue import DATASETS
from ..cards.facts import Target, Task


class _Tasks(ModuleType):
    """This room is called like the function `medimeta.tasks`, whose place it takes once it is imported: be both."""

    def __call__(self, domain: str | None = None, target: Target | None = None) -> list[Task]:
        """All tasks; see `Catalogue.tasks`."""
        return DATASETS.tasks(domain, target)


sys.modules[__name__].__class__ = _Tasks
