"""Checks before publishing; each raises an error with the problem and the next step."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from ...builders.shard_files import shards
from ...cards.catalogue import DATASETS
from ...errors import PushRefused, some, unknown
from ..folder.card_files import CARD, NotAHubFolder
from ..folder.record import RECORD, BuildRecord, read_records, record_path, there
from ..verify.findings import Finding, clean, summary
from .plan import Plan, strangers


def chosen(folder: Path, only: Collection[str]) -> list[str]:
    """Return the datasets of a folder to publish, and check that each is complete.

    Args:
        folder: The Hub folder.
        only: Ids of datasets; empty for all in the folder.

    Raises:
        NotAHubFolder: If there is no dataset in it.
        UnknownName: If one of them is not in it.
        PushRefused: If its build is not finished.
        SourceBroken: If a split lacks shards.
    """
    found = there(folder)
    if not found:
        raise NotAHubFolder(f"{folder} holds no dataset that was built. Build one: medimeta build bus --out {folder}")
    for name in only:
        if name not in found:
            raise unknown(f"dataset in {folder}", name, found, hint=f"Build it: medimeta build {name} --out {folder}")
    datasets = sorted(set(only) or found)
    if not (folder / CARD).is_file():
        raise PushRefused(f"{folder} has no {CARD}: its build is not finished. Write it with: medimeta card {folder}")
    for name in datasets:
        own = folder / name
        lacking = [] if record_path(folder, name).is_file() else [RECORD]
        lacking += [] if shards(own) else ["shards"]
        if name not in DATASETS or lacking:
            what = f"lacks its {some(lacking)}" if name in DATASETS else "is not a dataset of the catalogue"
            raise PushRefused(f"{own} {what}. Build it again, or leave it out with --only.")
    read_records(folder)
    return datasets


def scripts(names: Iterable[str], repo: str, where: str) -> None:
    """Check that there is no loading script; `datasets` refuses repositories with one.

    Args:
        names: Paths in the folder or the repository.
        repo: Name of the repository.
        where: Where they are, for messages.

    Raises:
        PushRefused: If there is one.
    """
    found = sorted({"medimeta.py", f"{repo.rpartition('/')[2]}.py"} & set(names))
    if found:
        raise PushRefused(
            f"{where} holds {some(found)}. load_dataset({repo!r}) would fail: dataset scripts are no longer supported. "
            "Delete it; it is not needed to load the data."
        )


def visibility(records: Sequence[BuildRecord], *, public: bool, permissions: Collection[str], partial: bool) -> None:
    """Check that nothing becomes public that is incomplete or must not be redistributed.

    Args:
        records: Build records of the datasets to publish.
        public: Whether others can see the repository; gated ones count, as they redistribute images, too.
        permissions: Ids of datasets that the user is permitted to redistribute.
        partial: Whether incomplete datasets may be published.

    Raises:
        PushRefused: If one of them is and must not.
    """
    if not public:
        return
    forbidden = [r.dataset for r in records if not r.card.licence.redistribution and r.dataset not in permissions]
    if forbidden:
        others = sorted({r.dataset for r in records} - set(forbidden))
        terms = "\n".join(f"  {name}: {DATASETS[name].sources[0].licence_text.strip()}" for name in forbidden)
        raise PushRefused(
            f"The terms of {some(forbidden)} do not allow redistributing the images:\n{terms}\n"
            "Your own private repository is allowed: --private. With the owners' written permission: "
            f"--i-hold-permission-for {','.join(forbidden)}."
            + (f" To publish the others: --only {','.join(others)}" if others else "")
        )
    incomplete = [f"{r.dataset} ({sum(r.rows.values()):,} of {r.card.total:,} images)" for r in records if r.partial]
    if incomplete and not partial:
        raise PushRefused(
            f"Incomplete: {some(incomplete)}. Results on them cannot be compared with published ones. "
            "Build them from complete sources, publish them as they are with --partial, or use a private repository: "
            "--private."
        )


def foreign_rows(plan: Plan) -> None:
    """Check that no file of others on the Hub would be read as rows of a dataset.

    Raises:
        PushRefused: If there is one.
    """
    datasets = {*plan.datasets, *plan.kept}
    found = [path for path in plan.state.files if strangers(path) in datasets]
    if found:
        raise PushRefused(
            f"The repository holds {some(found)}, not written by this package, which would be read as rows of its "
            "dataset. Delete or rename it on the Hub."
        )


def unreadable_card(problem: str, repo: str, *, overwrite: bool) -> None:
    """Refuse to replace a card whose entries for the configs of others would be lost.

    Args:
        problem: Why the front matter of the card on the Hub cannot be read.
        repo: Name of the repository.
        overwrite: Whether the card is replaced all the same.

    Raises:
        PushRefused: If it is not.
    """
    if not overwrite:
        raise PushRefused(
            f"{CARD} of {repo} {problem}. If others added configs there, their entries would be lost. Correct the YAML "
            "on the Hub, or replace the card with --overwrite-card.",
            code="unreadable-card",
        )


def faults(findings: Sequence[Finding]) -> None:
    """Check that verifying found no error.

    Raises:
        PushRefused: If it did.
    """
    if not clean(findings):
        errors = [finding for finding in findings if finding.severity == "error"]
        raise PushRefused(f"{summary(errors)}\nNothing was uploaded. Build these datasets again.")
