"""`medimeta audit`, `medimeta episodes` and `medimeta cache`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ..files.parallel import pool
from .console import (
    AsJson,
    From,
    Id,
    Labels,
    NumProc,
    OneTask,
    Partial,
    Split,
    follow,
    out,
    print_json,
    print_table,
    progress_bar,
)


def audit(
    places: Annotated[list[str], typer.Argument(metavar="HUBDIR|ID=PATH...", help="Datasets to compare, all at once.")],
    ledger: Annotated[Path | None, typer.Option("--out", help="Parquet file for the images that were found.")] = None,
    distance: Annotated[int, typer.Option(help="Bits of 64 in which near duplicates differ, at most.")] = 7,
    partial: Partial = False,
    num_proc: NumProc = 1,
    as_json: AsJson = False,
) -> None:
    """Find images and subjects that occur twice.

    Looks within and across splits and datasets.
    """
    from ..builders.source import Options
    from ..learn.leakage import audit as leakage

    sources = leakage.find_sources(places, Options(partial=partial))
    with pool(num_proc) as (executor, workers), progress_bar() as progress:
        common: Any = {"executor": executor, "workers": workers, **follow(progress, "audit")}
        found = leakage.audit(sources, distance=distance, **common)
    if ledger is not None:
        found.save(ledger)
    if as_json:
        print_json(found.as_dict())
    else:
        out.print(found.summary(), markup=False, highlight=False, soft_wrap=True)


def episodes(
    dataset: Id,
    task: OneTask = None,
    path: Annotated[Path | None, typer.Option("--out", help="Parquet file for the episodes.")] = None,
    repo: Annotated[
        str | None, typer.Option("--push", metavar="REPO", help="Publish them as a config of a dataset repository.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the config; made of dataset, task and shots by default.")] = None,
    private: Annotated[bool, typer.Option("--private", help="A new repository is only for you.")] = False,
    shots: Annotated[str, typer.Option(help='Support images per class; "1-10" draws a number per episode.')] = "5",
    queries: Annotated[int, typer.Option(help="Query images per class.")] = 10,
    number: Annotated[int, typer.Option("-n", help="Number of episodes.")] = 100,
    seed: Annotated[int, typer.Option(help="The same seed, the same episodes.")] = 0,
    split: Split = "test",
    ways: Annotated[str | None, typer.Option(help='Classes per episode, or "random"; all by default.')] = None,
    min_images: Annotated[int | None, typer.Option(help="Leave out classes with fewer images.")] = None,
    classes: Annotated[list[str] | None, typer.Option("--class", help="Use only this class; repeatable.")] = None,
    subject_disjoint: Annotated[
        bool, typer.Option(help="Whether support and query share no subject, where subjects are known.")
    ] = True,
    data_dir: From = None,
    labels: Labels = "released",
    partial: Partial = False,
) -> None:
    """Draw few-shot episodes of one task, as a file or as a config on the Hub."""
    from ..files.retry import quiet
    from ..learn.episodes.drawing import episodes as draw_episodes
    from ..learn.episodes.hub import check

    if path is None and repo is None:
        raise typer.BadParameter("Say where the episodes go: --out FILE, --push REPO, or both.")
    if repo is None and (private or name is not None):
        raise typer.BadParameter("--name and --private are about what --push publishes. Give --push REPO, too.")
    try:
        low, _, high = shots.partition("-")
        shot_range = (int(low), int(high or low))
        way_count: Any = ways if ways in (None, "random") else int(ways or 0)
    except ValueError:
        raise typer.BadParameter('--shots takes a number or "1-10", --ways a number or "random".') from None
    if repo is not None:
        quiet()
        check(repo, name, private=private)
    found = draw_episodes(
        dataset,
        task,
        shots=shot_range if high else shot_range[0],
        queries=queries,
        n=number,
        seed=seed,
        split=split,
        ways=way_count,
        min_images=min_images,
        classes=classes or None,
        subject_disjoint=subject_disjoint,
        data_dir=data_dir,
        labels=labels,
        partial=partial,
    )
    lines = [found.summary(), f"SHA-256 {found.sha256}"]
    if path is not None:
        found.save(path)
        lines.append(f"Wrote {path}")
    if repo is not None:
        name = found.push(repo, name, private=private)
        lines.append(f"Published. Read it with: medimeta.EpisodeSet.pull({repo!r}, {name!r})")
    out.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def cache(
    clean: Annotated[bool, typer.Option("--clean", help="Delete them, and what killed builds left.")] = False,
    unused_days: Annotated[
        float, typer.Option(min=0, help="Only those that nobody asked for within so many days.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Show the decoded images that are kept in the cache, the ones used last first, or delete them."""
    from ..learn.data import store

    if clean:
        freed = store.clean_cache(unused_days)
        if as_json:
            print_json({"freed_bytes": freed})
        else:
            out.print(f"{freed / 1e9:.2f} GB are free again.", highlight=False)
        return
    entries = [entry for entry in store.cache_entries() if entry.unused_days >= unused_days]
    if as_json:
        facts = [
            {"path": str(e.path), "images": e.images, "bytes": e.bytes, "unused_days": round(e.unused_days, 2)}
            for e in entries
        ]
        print_json(facts)
        return
    rows = [
        [e.path.name, f"{e.images:,}", f"{e.bytes / 1e9:.2f} GB", f"{datetime.fromtimestamp(e.used):%Y-%m-%d %H:%M}"]
        for e in entries
    ]
    print_table(["store", "images", "size", "last used"], rows, right=(1, 2))
    if out.is_terminal:
        total = sum(entry.bytes for entry in entries)
        out.print(f"{len(entries)} store(s), {total / 1e9:.2f} GB, in {store.folder()}", markup=False, soft_wrap=True)
