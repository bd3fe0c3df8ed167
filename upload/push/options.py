"""How a Hub folder is published, and who is told how it goes on."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from ...cards.catalogue import DATASETS
from ...errors import PushRefused, some
from ...files.repository import MAIN
from .plan import Plan

GATES = ("auto", "manual")


@dataclass(frozen=True)
class PushOptions:
    """How a folder is published.

    Attributes:
        only: Ids of the datasets to push; all of the folder's when empty.
        remove: Ids of datasets to take away from the Hub; others on the Hub stay.
        revision: Branch to commit to; made from `main` when it is not there.
        private: Whether a new repository is only for its owner.
        gated: Whether readers must ask ("auto") and be let in ("manual"); None leaves it as it is.
        create_pr: Whether to open a pull request instead of committing to the branch.
        tag: Name for the commit; a tag that names another release is an error, tags do not move.
        partial: Whether incomplete datasets may become public.
        permissions: Ids of datasets that may not be passed on, for which the user has a permission.
        dry_run: Whether to stop before anything is changed.
        overwrite_card: Whether to replace a card on the Hub that cannot be read, and with it the entries of others.
    """

    only: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    revision: str = MAIN
    private: bool = False
    gated: str | None = None
    create_pr: bool = False
    tag: str | None = None
    partial: bool = False
    permissions: tuple[str, ...] = ()
    dry_run: bool = False
    overwrite_card: bool = False

    def __post_init__(self) -> None:
        for name in (*self.remove, *self.permissions):
            DATASETS[name]  # raises for a name that does not exist
        if self.gated not in (None, *GATES):
            raise PushRefused(f"There is no gate {self.gated!r}. Choose one of: {', '.join(GATES)}.")
        if self.create_pr and self.revision != MAIN:
            raise PushRefused("The Hub opens pull requests against main only. Leave out --revision or --create-pr.")
        if self.create_pr and self.tag:
            raise PushRefused("A pull request is no release yet. Merge it, then push with --tag.")

    def removed(self, datasets: Collection[str]) -> frozenset[str]:
        """The datasets to take away, none of which may be among those that are pushed.

        Raises:
            PushRefused: If one is.
        """
        both = sorted(set(self.remove) & set(datasets))
        if both:
            raise PushRefused(f"{some(both)}: pushed and removed at once. Name what is to be pushed with --only.")
        return frozenset(self.remove)


@dataclass(frozen=True)
class Watch:
    """Who is told how a push goes on.

    Attributes:
        read: Called with the bytes of each file whose hash was made.
        planned: Called with the plan.
        checked: Called with numbers of rows.
        sent: Called with the bytes of each batch that has arrived.
    """

    read: Callable[[int], None] = lambda size: None
    planned: Callable[[Plan], None] = lambda plan: None
    checked: Callable[[int], None] = lambda rows: None
    sent: Callable[[int], None] = lambda size: None
