"""`medimeta build`, `card`, `verify` and `demo`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

import medimeta

from ..builders.parallel import pool
from ..cards.catalogue import DATASETS
from ..cards.console import AsJson, From, Labels, NumProc, Partial, SplitsFrom, WithMasks, out, progress_bar, resumable
from .record import BuildRecord

Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Dataset ids; see `medimeta list`.")]


def build(
    datasets: Ids,
    folder: Annotated[Path, typer.Option("--out", help="Hub folder to build into; other datasets in it stay.")],
    source: From = None,
    labels: Labels = "released",
    partial: Partial = False,
    splits_from: SplitsFrom = None,
    with_masks: WithMasks = False,
    num_proc: NumProc = 1,
    dask: Annotated[str | None, typer.Option(help="Address of a dask.distributed scheduler to render on.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Build again even when nothing changed.")] = False,
) -> None:
    """Build datasets from their sources into a folder ready for the Hub."""
    from .folder import build as build_one

    options = {"labels": labels, "partial": partial, "splits_from": splits_from, "with_masks": with_masks}
    cards = [DATASETS[dataset] for dataset in datasets]
    with resumable(), pool(num_proc, dask) as (executor, workers), progress_bar() as progress:
        for card in cards:
            config = medimeta.MedIMeta(config_name=card.id, data_dir=None if source is None else str(source), **options)
            bar = progress.add_task(card.id, total=None if partial else card.total)
            record = build_one(
                config.source(),
                folder,
                version=medimeta.__version__,
                executor=executor,
                workers=workers,
                advance=lambda rows, bar=bar: progress.advance(bar, rows),  # type: ignore[misc]
                force=force,
            )
            progress.update(bar, total=sum(record.rows.values()))
            progress.console.print(f"{card.id}: {_splits(record)}; splits: {_membership(record.membership)}")
            if record.partial:
                progress.console.print(f"{card.id}: incomplete, {sum(record.rows.values()):,} of {card.total:,} images")
    out.print(f"Wrote {folder}. Load it with: load_dataset({str(folder)!r}, {cards[0].id!r})", soft_wrap=True)


def card(folder: Annotated[Path, typer.Argument(metavar="HUBDIR")]) -> None:
    """Write README.md of a Hub folder again."""
    from .folder import write_card

    out.print(f"Wrote {write_card(folder, medimeta.__version__)}", soft_wrap=True)


def verify(
    what: Annotated[str, typer.Argument(metavar="ID|HUBDIR", help="A dataset, with --against; or a folder to check.")],
    against: Annotated[Path | None, typer.Option(help="Published rows: a Hub folder, or a release or its zip.")] = None,
    source: From = None,
    labels: Labels = "released",
    partial: Partial = False,
    splits_from: SplitsFrom = None,
    with_masks: WithMasks = False,
    num_proc: NumProc = 1,
    as_json: AsJson = False,
) -> None:
    """Recompute a dataset and compare it row by row with a published one, or check a Hub folder; 1 if that fails."""
    from ..builders.locate import open_source
    from ..builders.source import Options
    from .compare import compare
    from .findings import clean, summary
    from .verify import verify_folder

    if against is None and (source is not None or (what in DATASETS and not Path(what).exists())):
        raise typer.BadParameter(
            "To compare a dataset, add --against DIR|RELEASE; to check a Hub folder, give just it."
        )
    with pool(num_proc) as (executor, workers), progress_bar() as progress:
        bar = progress.add_task(what, total=None)
        common: Any = {"executor": executor, "workers": workers, "advance": lambda rows: progress.advance(bar, rows)}
        facts: Any
        if against is None:
            findings = verify_folder(Path(what), **common)
            good, shown, facts = clean(findings), summary(findings), [asdict(finding) for finding in findings]
        else:
            options = {"labels": labels, "partial": partial, "splits_from": splits_from, "with_masks": with_masks}
            card = DATASETS[what]
            config = medimeta.MedIMeta(config_name=card.id, data_dir=None if source is None else str(source), **options)
            theirs = open_source(card.id, against, Options(partial=partial, with_masks=with_masks))
            comparison = compare(config.source(), theirs, **common)
            good, shown, facts = comparison.equal, comparison.summary(), comparison.as_dict()
    if as_json:
        out.print_json(json.dumps(facts))
    else:
        out.print(shown, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(0 if good else 1)


def demo(
    folder: Annotated[Path, typer.Option("--out", help="Where results go.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Seed of data and training.")] = 0,
    all_datasets: Annotated[
        bool, typer.Option("--all", help="Build miniatures of all 19 datasets instead, without training.")
    ] = False,
    num_proc: NumProc = 1,
) -> None:
    """Build a miniature of `bus` offline, load it, fine-tune a tiny ViT on it, and draw what happened."""
    if not all_datasets:
        from ..examples.demo import run

        run(folder, seed=seed)
        return
    from .miniatures import build_miniatures

    with resumable(), pool(num_proc) as (executor, workers), progress_bar() as progress:
        bar = progress.add_task("all 19", total=None)

        def finished(record: BuildRecord) -> None:
            progress.advance(bar, sum(record.rows.values()))
            progress.console.print(f"{record.dataset}: {_splits(record)}")

        common: Any = {"executor": executor, "workers": workers, "finished": finished}
        hub = build_miniatures(list(DATASETS), folder, version=medimeta.__version__, seed=seed, **common)
    out.print(f"Wrote {hub}. Load it with: load_dataset({str(hub)!r}, 'bus')", soft_wrap=True)


def _splits(record: BuildRecord) -> str:
    return ", ".join(f"{split} {count:,}" for split, count in record.rows.items())


def _membership(kind: str) -> str:
    return {
        "source": "the source's own",
        "computed": "the published membership, computed",
        "recomputed": "computed on these rows, so that membership differs from the release; --splits-from applies it",
        "release": "taken over from the release",
    }[kind]
