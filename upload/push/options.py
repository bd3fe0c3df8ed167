"""Options of a push, and callbacks that report its progress."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from ...cards.catalogue import DATASETS
from ...errors import PushRefused, some
from ...files.remote.repository import MAIN
from .plan import Plan

GATES = ("auto", "manual")


@dataclass(frozen=True)
class PushOptions:
    """Options of a push.

    Attributes:
        only: Ids of the datasets to push; empty for all in the folder.
        remove: Ids of datasets to remove from the Hub; other datasets stay.
        revision: Branch to commit to; created from `main` if need be.
        private: Whether a new repository is private.
        gated: Whether readers must request access, granted automatically ("auto") or by the owner ("manual"); None
            keeps the current setting.
        create_pr: Whether to open a pull request instead of committing to the branch.
        tag: Tag of the commit; a tag that names another release is an error.
        partial: Whether incomplete datasets may be published.
        permissions: Ids of datasets whose terms forbid redistribution, for which the user holds a permission.
        dry_run: Whether to only report the changes.
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
            raise PushRefused(f"Unknown value {self.gated!r} for --gated. Choose one of: {', '.join(GATES)}.")
        if self.create_pr and self.revision != MAIN:
            raise PushRefused("The Hub opens pull requests against main only. Leave out --revision or --create-pr.")
        if self.create_pr and self.tag:
            raise PushRefused("A pull request cannot be tagged. Merge it, then push with --tag.")

    def removed(self, datasets: Collection[str]) -> frozenset[str]:
        """Return the datasets to remove, and check that none of them is also pushed.

        Raises:
            PushRefused: If one is pushed.
        """
        both = sorted(set(self.remove) & set(datasets))
        if both:
            raise PushRefused(f"{some(both)}: both pushed and removed. Select the datasets to push with --only.")
        return frozenset(self.remove)


@dataclass(frozen=True)
class Watch:
    """Callbacks that report the progress of a push.

    Attributes:
        read: Called with the number of bytes of each file that was hashed.
        planned: Called with the plan.
        checked: Called with the number of rows that were checked.
        sent: Called with the number of bytes of each batch that was uploaded.
    """

    read: Callable[[int], None] = lambda size: None
    planned: Callable[[Plan], None] = lambda plan: None
    checked: Callable[[int], None] = lambda rows: None
    sent: Callable[[int], None] = lambda size: None
