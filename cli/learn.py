"""Commands `audit`, `episodes` and `cache`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from .shared import completion as complete
from .shared.console import is_terminal, print_json, print_table, print_text
from .shared.options import AsJson, From, Id, Labels, NumProc, OneTask, Partial, Release, Split


def audit(
    places: Annotated[
        list[str], typer.Argument(metavar="HUBDIR|ID=PATH...", help="Datasets to compare with each other.")
    ],
    ledger: Annotated[
        Path | None,
        typer.Option("--out", help="Parquet file to write the ledger to: the images that leak, with their labels."),
    ] = None,
    flags: Annotated[
        Path | None, typer.Option(help="Folder to write quality flags to: <id>.parquet, duplicates and contradictions.")
    ] = None,
    distance: Annotated[
        int, typer.Option(help="Largest number of differing bits, of 64, between near duplicates.")
    ] = 7,
    partial: Partial = False,
    num_proc: NumProc = 1,
    as_json: AsJson = False,
) -> None:
    """Find images and subjects that occur more than once, within and across splits and datasets.

    Copies with contradictory labels are reported first.
    """
    from ..builders.source import Options
    from ..files.parallel import pool
    from ..learn.data import quality
    from ..learn.leakage import audit as leakage
    from .shared.progress import follow, progress_bar

    sources = leakage.find_sources(places, Options(partial=partial))
    with pool(num_proc) as (executor, workers), progress_bar() as progress:
        common: Any = {"executor": executor, "workers": workers, **follow(progress, "audit")}
        leaks = leakage.audit(sources, distance=distance, **common)
    if ledger is not None:
        leaks.save(ledger)
    if flags is not None:
        quality.write_flags(leaks, flags)
    if as_json:
        print_json(leaks.as_dict())
    else:
        print_text(leaks.summary())


def episodes(
    dataset: Id,
    task: OneTask = None,
    path: Annotated[Path | None, typer.Option("--out", help="Parquet file to write.")] = None,
    repo: Annotated[
        str | None,
        typer.Option("--push", metavar="REPO", help="Publish the episodes as a config of a dataset repository."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the config. Default: made of dataset, task and shots.")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    shots: Annotated[str, typer.Option(help='Support images per class; "1-10" draws a number for each episode.')] = "5",
    queries: Annotated[int, typer.Option(help="Query images per class.")] = 10,
    number: Annotated[int, typer.Option("-n", help="Number of episodes.")] = 100,
    seed: Annotated[int, typer.Option(help="Random seed; the same seed gives the same episodes.")] = 0,
    split: Split = "test",
    ways: Annotated[str | None, typer.Option(help='Classes per episode, or "random". Default: all.')] = None,
    min_images: Annotated[int | None, typer.Option(help="Leave out classes with fewer images.")] = None,
    classes: Annotated[list[str] | None, typer.Option("--class", help="Use only this class; can be repeated.")] = None,
    subject_disjoint: Annotated[
        bool, typer.Option(help="Draw support and query images of an episode from different subjects.")
    ] = True,
    data_dir: From = None,
    release: Release = False,
    labels: Labels = "released",
    partial: Partial = False,
) -> None:
    """Draw few-shot episodes of a task; write them to a file or publish them on the Hub."""
    from ..cards.catalogue import DATASETS
    from ..files.remote.retry import quiet
    from ..learn.episodes.drawing import episodes as draw_episodes
    from ..learn.episodes.hub import check
    from .shared.sources import check_source

    if path is None and repo is None:
        raise typer.BadParameter("Give --out FILE, --push REPO, or both: where the episodes go.")
    if repo is None and (private or name is not None):
        raise typer.BadParameter("--name and --private need --push REPO.")
    try:
        low, _, high = shots.partition("-")
        shot_range = (int(low), int(high or low))
        way_count: Any = ways if ways in (None, "random") else int(ways or 0)
    except ValueError:
        raise typer.BadParameter('--shots takes a number or "1-10", --ways a number or "random".') from None
    if repo is not None:
        quiet()
        check(repo, name, private=private)
    check_source(DATASETS[dataset], data_dir, release=release, command="episodes")
    drawn = draw_episodes(
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
    lines = [drawn.summary(), f"SHA-256 {drawn.sha256}"]
    if path is not None:
        drawn.save(path)
        lines.append(f"Wrote {path}")
    if repo is not None:
        name = drawn.push(repo, name, private=private)
        lines.append(f"Published. Read it with: medimeta.EpisodeSet.pull({repo!r}, {name!r})")
    print_text("\n".join(lines))


def cache(
    clean: Annotated[
        bool, typer.Option("--clean", help="Delete what is listed, and leftovers of killed processes.")
    ] = False,
    unused_days: Annotated[float, typer.Option(min=0, help="Only what was not used for this many days.")] = 0,
    encoder: Annotated[str | None, typer.Option(help="Only features of this encoder.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Only features of this dataset.", autocompletion=complete.dataset)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show or delete decoded images and features of encoders in the cache, most recently used first."""
    from ..learn.data import store
    from ..learn.encoders import banks

    only_features = encoder is not None or dataset is not None
    kept = [bank for bank in banks.banks(encoder=encoder, dataset=dataset) if bank.unused_days >= unused_days]
    if clean:
        freed = sum(bank.delete() for bank in kept)
        if not only_features:
            freed += store.clean_cache(unused_days)
        if as_json:
            print_json({"freed_bytes": freed})
        else:
            print_text(f"Freed {freed / 1e9:.2f} GB.")
        return
    stores = [] if only_features else [one for one in store.cache_entries() if one.unused_days >= unused_days]
    if as_json:
        facts: list[dict[str, Any]] = [
            {"path": str(e.path), "images": e.images, "bytes": e.bytes, "unused_days": round(e.unused_days, 2)}
            for e in stores
        ]
        for bank in kept:
            about = {name: bank.about[name] for name in ("encoder", "dataset", "split")}
            facts.append(
                {"path": str(bank.path), "images": bank.shape[0], "features": bank.shape[1], **about}
                | {"finished": bank.features.is_file(), "bytes": bank.bytes, "unused_days": round(bank.unused_days, 2)}
            )
        print_json(facts)
        return
    rows = [(e.path.name, e.images, e.bytes, e.used, "images") for e in stores]
    for bank in kept:
        of = f"{bank.about['dataset']} {bank.about['split']}, {bank.about['encoder']}"
        unfinished = "" if bank.features.is_file() else " (unfinished)"
        rows.append((bank.path.name, bank.shape[0], bank.bytes, bank.used, f"{of}{unfinished}"))
    table = [
        [name, f"{images:,}", f"{size / 1e9:.2f} GB", f"{datetime.fromtimestamp(used):%Y-%m-%d %H:%M}", what]
        for name, images, size, used, what in rows
    ]
    print_table(["name", "images", "size", "last used", "what"], table, right=(1, 2))
    if is_terminal():
        total = sum(size for _, _, size, _, _ in rows)
        print_text(f"{len(rows)} file(s) and bank(s), {total / 1e9:.2f} GB, in {store.folder().parent}")
