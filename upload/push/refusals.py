"""What must not be published: each check raises with what is wrong and what to do about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from ...builders.stored import shards
from ...cards.catalogue import DATASETS
from ...errors import PushRefused, some, unknown
from ..folder.card_files import CARD, NotAHubFolder
from ..folder.record import RECORD, BuildRecord, read_records, there
from ..verify.findings import Finding, clean, summary
from .plan import Plan, strangers


def chosen(folder: Path, only: Collection[str]) -> list[str]:
    """The datasets of a folder that are to be published, all of them whole.

    Args:
        folder: The Hub folder.
        only: Ids of datasets; all that the folder has when empty.

    Raises:
        NotAHubFolder: If there is no dataset in it.
        UnknownName: If one of them is not in it.
        PushRefused: If it is half-built.
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
        raise PushRefused(
            f"{folder} has no {CARD}, so that its build is not finished. Write it: medimeta card {folder}"
        )
    for name in datasets:
        own = folder / name
        lacking = [] if (own / RECORD).is_file() else [RECORD]
        lacking += [] if shards(own) else ["shards"]
        if name not in DATASETS or lacking:
            what = f"lacks its {some(lacking)}" if name in DATASETS else "is none of the catalogue's datasets"
            raise PushRefused(f"{own} {what}. Build it again, or leave it out with --only.")
    read_records(folder)
    return datasets


def scripts(names: Iterable[str], repo: str, where: str) -> None:
    """No loading script: `datasets` refuses a repository that has one.

    Args:
        names: Paths in the folder or the repository.
        repo: Name of the repository.
        where: Where they are, for the message.

    Raises:
        PushRefused: If one is there.
    """
    found = sorted({"medimeta.py", f"{repo.rpartition('/')[2]}.py"} & set(names))
    if found:
        raise PushRefused(
            f"{where} holds {some(found)}. load_dataset({repo!r}) would fail: dataset scripts are no longer supported. "
            "Delete it; nobody needs it to load the data."
        )


def visibility(records: Sequence[BuildRecord], *, public: bool, permissions: Collection[str], partial: bool) -> None:
    """Nothing that may not be passed on, or that is incomplete, becomes public.

    Args:
        records: Of the datasets that are published.
        public: Whether others than the owner will see the repository; a gated one counts, as it too passes images on.
        permissions: Ids of datasets that the user may pass on.
        partial: Whether incomplete datasets are meant to be public.

    Raises:
        PushRefused: If something may not.
    """
    if not public:
        return
    forbidden = [r.dataset for r in records if not r.card.licence.redistribution and r.dataset not in permissions]
    if forbidden:
        others = sorted({r.dataset for r in records} - set(forbidden))
        told = "\n".join(f"  {name}: {DATASETS[name].sources[0].licence_text.strip()}" for name in forbidden)
        raise PushRefused(
            f"The terms of {some(forbidden)} do not allow passing the images on:\n{told}\n"
            "A private repository of your own is allowed: --private. With the owners' written permission: "
            f"--i-hold-permission-for {','.join(forbidden)}."
            + (f" Without them: --only {','.join(others)}" if others else "")
        )
    incomplete = [f"{r.dataset} ({sum(r.rows.values()):,} of {r.card.total:,} images)" for r in records if r.partial]
    if incomplete and not partial:
        raise PushRefused(
            f"Incomplete: {some(incomplete)}. Results on them cannot be compared with published ones. "
            "Build them from the complete sources, or publish what is there with --partial, or only for yourself with "
            "--private."
        )


def foreign_rows(plan: Plan) -> None:
    """No file of someone else would be read as rows of a dataset.

    Raises:
        PushRefused: If the Hub has one.
    """
    datasets = {*plan.datasets, *plan.kept}
    found = [path for path in plan.state.files if strangers(path) in datasets]
    if found:
        raise PushRefused(
            f"The repository holds {some(found)}, which this project did not make and which would be read as rows of "
            "its dataset. Delete or rename it there."
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
    """Nothing that breaks a rule.

    Raises:
        PushRefused: If there is an error among what was found.
    """
    if not clean(findings):
        errors = [finding for finding in findings if finding.severity == "error"]
        raise PushRefused(f"{summary(errors)}\nNothing was sent. Build these datasets again.")
