"""`medimeta build`, `card`, `verify` and `demo`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ..builders.dataset import MedIMeta
from ..builders.locate import find_local, where_to_get
from ..cards.catalogue import DATASETS
from ..cards.facts import DatasetCard
from ..errors import SourceNotFound
from ..files.parallel import pool
from ..files.version import VERSION
from ..upload.folder.record import BuildRecord
from . import completion as complete
from .console import (
    AsJson,
    From,
    Ids,
    Labels,
    NumProc,
    Partial,
    SplitsFrom,
    WithMasks,
    follow,
    out,
    print_json,
    progress_bar,
)

HUB = Path("hub")  # where builds go by default
Release = Annotated[bool, typer.Option("--release", help="Download the published release where no source is given.")]


def build(
    datasets: Ids,
    folder: Annotated[Path, typer.Option("--out", help="Hub folder to build into; other datasets in it stay.")] = HUB,
    source: From = None,
    release: Release = False,
    labels: Labels = "released",
    partial: Partial = False,
    splits_from: SplitsFrom = None,
    with_masks: WithMasks = False,
    num_proc: NumProc = 1,
    dask: Annotated[str | None, typer.Option(help="Address of a dask.distributed scheduler to render on.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Build again even when nothing changed.")] = False,
) -> None:
    """Build datasets into a folder ready for the Hub."""
    from ..upload.folder.writing import build as build_one
    from ..upload.folder.writing import check_folder

    options = {"labels": labels, "partial": partial, "splits_from": splits_from, "with_masks": with_masks}
    cards = [DATASETS[dataset] for dataset in datasets]
    check_folder(folder)
    builders = [_builder(card, source, release, options) for card in cards]  # all of them, before any work
    with pool(num_proc, dask) as (executor, workers), progress_bar() as progress:
        for card, builder in zip(cards, builders, strict=True):
            record = build_one(
                builder.source(),
                folder,
                version=VERSION,
                executor=executor,
                workers=workers,
                force=force,
                **follow(progress, card.id),
            )
            progress.console.print(f"{card.id}: {_splits(record)}; splits: {_membership(record.membership)}")
            if record.partial:
                progress.console.print(f"{card.id}: incomplete, {sum(record.rows.values()):,} of {card.total:,} images")
    _print_result(folder, cards[0].id)


def card(folder: Annotated[Path, typer.Argument(metavar="HUBDIR")]) -> None:
    """Write the card of a Hub folder again."""
    from ..upload.folder.writing import write_card

    out.print(f"Wrote {write_card(folder, VERSION)}", soft_wrap=True)


def verify(
    what: Annotated[
        str,
        typer.Argument(
            metavar="ID|HUBDIR",
            help="A dataset, with --against; or a folder to check.",
            autocompletion=complete.dataset,
        ),
    ],
    against: Annotated[Path | None, typer.Option(help="Published rows: a Hub folder, or a release or its zip.")] = None,
    source: From = None,
    release: Release = False,
    labels: Labels = "released",
    partial: Partial = False,
    splits_from: SplitsFrom = None,
    with_masks: WithMasks = False,
    num_proc: NumProc = 1,
    as_json: AsJson = False,
) -> None:
    """Check a Hub folder, or compare a dataset with a published one.

    With --against, the dataset is computed again from its source and compared row by row: pixels, labels, splits.
    Exit code 1 says that something is wrong or differs.
    """
    from ..builders.locate import open_source
    from ..builders.source import Options
    from ..upload.verify.compare import compare
    from ..upload.verify.findings import clean, summary
    from ..upload.verify.folder import verify_folder

    if against is None and (source is not None or (what in DATASETS and not Path(what).exists())):
        raise typer.BadParameter(f"To compare {what}, add --against DIR|RELEASE; to check a Hub folder, give just it.")
    with pool(num_proc) as (executor, workers), progress_bar() as progress:
        common: Any = {"executor": executor, "workers": workers, **follow(progress, what)}
        facts: Any
        if against is None:
            findings = verify_folder(Path(what), **common)
            good, shown, facts = clean(findings), summary(findings), [asdict(finding) for finding in findings]
        else:
            options = {"labels": labels, "partial": partial, "splits_from": splits_from, "with_masks": with_masks}
            card = DATASETS[what]
            ours = _builder(card, source, release, options).source()
            theirs = open_source(card.id, against, Options(partial=partial, with_masks=with_masks))
            comparison = compare(ours, theirs, **common)
            good, shown, facts = comparison.equal, comparison.summary(), comparison.as_dict()
    if as_json:
        print_json(facts)
    else:
        out.print(shown, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(0 if good else 1)


def demo(
    folder: Annotated[Path, typer.Option("--out", help="Where results go.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Seed of data and training.")] = 0,
    all_datasets: Annotated[
        bool, typer.Option("--all", help="Build miniatures of all datasets instead, without training.")
    ] = False,
    num_proc: NumProc = 1,
) -> None:
    """Run the whole chain offline, on drawn images.

    Builds a miniature of `bus`, loads it, fine-tunes a tiny ViT on it, and draws what happened.
    """
    if not all_datasets:
        from .demo import run

        run(folder, seed=seed)
        return
    from ..upload.folder.miniatures import build_miniatures

    with pool(num_proc) as (executor, workers), progress_bar("datasets") as progress:
        bar = progress.add_task("all", total=len(DATASETS))

        def finished(record: BuildRecord) -> None:
            progress.advance(bar)
            progress.console.print(f"{record.dataset}: {_splits(record)}")

        common: Any = {"executor": executor, "workers": workers, "finished": finished}
        hub = build_miniatures(list(DATASETS), folder, version=VERSION, seed=seed, **common)
    _print_result(hub, "bus")


def _builder(card: DatasetCard, source: Path | None, release: bool, options: dict[str, Any]) -> MedIMeta:
    """The reader of a dataset.

    Raises:
        SourceNotFound: If the dataset is neither at `source` nor under MEDIMETA_DATA, and nobody asked for a download.
    """
    if not release and find_local(card.id, source) is None:
        raise SourceNotFound(
            f"There is no source of {card.id}: neither --source nor MEDIMETA_DATA names one.\n{where_to_get(card)}\n"
            f"Or build it from the published release, which is downloaded: medimeta build {card.id} --release"
        )
    return MedIMeta(config_name=card.id, data_dir=None if source is None else str(source), **options)


def _print_result(hub: Path, dataset: str) -> None:
    out.print(
        f"Wrote {hub}. Load it with: load_dataset({str(hub)!r}, {dataset!r})\n"
        f"Look at it: medimeta preview {hub} --open. Check it: medimeta verify {hub}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _splits(record: BuildRecord) -> str:
    return ", ".join(f"{split} {count:,}" for split, count in record.rows.items())


def _membership(kind: str) -> str:
    return {
        "source": "the source's own",
        "computed": "the published membership, computed",
        "recomputed": "computed on these rows, so that membership differs from the release; --splits-from applies it",
        "release": "taken over from the release",
    }[kind]
