"""Commands `build`, `card` and `verify`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import visible
from ..files.version import VERSION
from .questions import add_questions
from .shared import completion as complete
from .shared.console import print_json, print_text
from .shared.options import (
    AsJson,
    Checksums,
    From,
    Ids,
    Labels,
    NumProc,
    Partial,
    Release,
    Size,
    SplitsFrom,
    WithMasks,
)  # fmt: skip

if TYPE_CHECKING:
    from ..upload.folder.record import BuildRecord

MEMBERSHIP = {
    "source": "the source's own",
    "computed": "the published membership, computed",
    "recomputed": "computed on these rows, so membership differs from the release; to apply it, use --splits-from",
    "release": "taken from the release",
}


def build(
    datasets: Ids,
    folder: Annotated[Path, typer.Option("--out", help="Hub folder; other datasets in it are kept.")] = Path("hub"),
    source: From = None,
    release: Release = False,
    labels: Labels = "released",
    partial: Partial = False,
    splits_from: SplitsFrom = None,
    with_masks: WithMasks = False,
    checksums: Checksums = None,
    size: Size = None,
    num_proc: NumProc = 1,
    dask: Annotated[str | None, typer.Option(help="Address of a dask.distributed scheduler to render on.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Build again even if nothing has changed.")] = False,
    order: Annotated[
        str, typer.Option(help='Order of the rows in each split: "shuffled", or "published", by image number.')
    ] = "shuffled",
    questions: Annotated[
        bool, typer.Option("--questions", help="Add multiple-choice questions; see: medimeta questions.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Build datasets into a Hub folder: Parquet files with a dataset card, ready to publish."""
    from ..cards.catalogue import DATASETS
    from ..files.parallel import pool
    from ..upload.folder.writing import build as build_one
    from ..upload.folder.writing import check_folder
    from .shared.progress import follow, progress_bar
    from .shared.sources import open_builder, with_source

    options = {"labels": labels, "partial": partial, "splits_from": splits_from, "with_masks": with_masks}
    options |= {"checksums": checksums, "size": size}
    names, source = with_source(datasets, source, release=release)
    cards = [DATASETS[name] for name in names]
    check_folder(folder)
    builders = [  # all of them, before any work
        open_builder(card, source, release=release, command="build", options=options) for card in cards
    ]
    records = []
    with pool(num_proc, dask) as (executor, workers), progress_bar() as progress:
        for card, builder in zip(cards, builders, strict=True):
            record = build_one(
                builder.source(),
                folder,
                version=VERSION,
                executor=executor,
                workers=workers,
                force=force,
                order=order,  # type: ignore[arg-type]  # checked by the build
                **follow(progress, card.id),
            )
            records.append(record)
            if as_json:
                continue
            progress.console.print(f"{card.id}: {splits_text(record)}; splits: {MEMBERSHIP[record.membership]}")
            if record.partial:
                progress.console.print(f"{card.id}: incomplete, {sum(record.rows.values()):,} of {card.total:,} images")
    if questions:
        add_questions(folder, names, seed=0)
    if as_json:
        shown = ("rows", "labels", "membership", "partial")
        print_json([{"id": one.dataset} | {name: getattr(one, name) for name in shown} for one in records])
    else:
        print_next_steps(folder, cards[0].id)


def card(
    folder: Annotated[Path, typer.Argument(metavar="HUBDIR", help="The folder that `medimeta build` wrote.")],
) -> None:
    """Rewrite the dataset card of a Hub folder."""
    from ..upload.folder.writing import write_card

    print_text(f"Wrote {write_card(folder, VERSION)}")


def verify(
    what: Annotated[
        str,
        typer.Argument(
            metavar="ID|HUBDIR",
            help="A Hub folder to check, or a dataset to compare with --against.",
            autocompletion=complete.dataset,
        ),
    ],
    against: Annotated[Path | None, typer.Option(help="Published rows: a Hub folder, a release or its zip.")] = None,
    source: From = None,
    release: Release = False,
    labels: Labels = "released",
    partial: Partial = False,
    splits_from: SplitsFrom = None,
    with_masks: WithMasks = False,
    size: Size = None,
    num_proc: NumProc = 1,
    as_json: AsJson = False,
) -> None:
    """Check a Hub folder, or compare a dataset with a published one.

    With --against, the dataset is computed from its source and compared row by row: pixels, labels, splits. Exit code
    1 means that there are errors or differences.
    """
    from ..builders.hub.repository import hub_folder
    from ..builders.locate import find_local, open_source
    from ..builders.source import Options
    from ..cards.catalogue import DATASETS
    from ..files.parallel import pool
    from ..upload.verify.compare import compare
    from ..upload.verify.findings import clean, summary
    from ..upload.verify.folder import verify_folder
    from .shared.progress import follow, progress_bar
    from .shared.sources import open_builder

    if against is None and (source is not None or (what in DATASETS and not Path(what).exists())):
        raise typer.BadParameter(f"To compare {what}, add --against DIR|RELEASE; to check a Hub folder, give only it.")
    with pool(num_proc) as (executor, workers), progress_bar() as progress:
        common: Any = {"executor": executor, "workers": workers, **follow(progress, visible(what))}
        facts: Any
        if against is None:
            findings = verify_folder(hub_folder(what), **common)
            good, facts = clean(findings), [asdict(finding) for finding in findings]
            shown = summary(findings)
        else:
            options = {"labels": labels, "partial": partial, "splits_from": splits_from}
            options |= {"with_masks": with_masks, "size": size}
            card = DATASETS[what]
            ours = open_builder(card, source, release=release, command="verify", options=options).source()
            theirs = open_source(
                card.id, find_local(card.id, against) or against, Options(partial=partial, with_masks=with_masks)
            )
            comparison = compare(ours, theirs, **common)
            good, shown, facts = comparison.equal, comparison.summary(), comparison.as_dict()
    if as_json:
        print_json(facts)
    else:
        print_text(shown)
    raise typer.Exit(0 if good else 1)


def print_next_steps(hub: Path, dataset: str) -> None:
    """Print how to load, look at and check a Hub folder.

    Args:
        hub: The folder.
        dataset: A dataset in it.
    """
    print_text(
        f"Wrote {hub}. Load it with: load_dataset({str(hub)!r}, {dataset!r})\n"
        f"View it: medimeta preview {hub} --open. Check it: medimeta verify {hub}"
    )


def splits_text(record: BuildRecord) -> str:
    """Return the rows per split of a built dataset, in words."""
    return ", ".join(f"{split} {count:,}" for split, count in record.rows.items())
