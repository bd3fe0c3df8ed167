"""Commands `audit` and `episodes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..shared.console import print_json, print_text
from ..shared.options import AsJson, From, Id, Labels, NumProc, OneTask, Partial, Release, Split, writes

SHOWN = 20  # suspect labels, and pairs, of a dataset


def audit(
    places: Annotated[
        list[str], typer.Argument(metavar="HUBDIR|ID=PATH...", help="Datasets to compare with each other.")
    ],
    ledger: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Parquet file to write the ledger to: the images that leak, with their labels.",
            callback=writes("Parquet"),
        ),
    ] = None,
    flags: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write quality flags to: <id>.parquet, duplicates and contradictions.",
            callback=writes("folder"),
        ),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            metavar="ENCODER",
            help="Also list suspect labels of the main tasks, and images that this encoder hardly distinguishes.",
        ),
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
    from ...builders.source import Options
    from ...files.parallel import pool
    from ...learn.data.exclusion import quality
    from ...learn.leakage import audit as leakage
    from ..shared.progress import follow, progress_bar

    sources = leakage.find_sources(places, Options(partial=partial))
    with pool(num_proc) as (executor, workers), progress_bar() as progress:
        common: Any = {"executor": executor, "workers": workers, **follow(progress, "audit")}
        leaks = leakage.audit(sources, distance=distance, **common)
    if ledger is not None:
        leaks.save(ledger)
    if flags is not None:
        quality.write_flags(leaks, flags)
    shown = leaks.as_dict()
    if not as_json:
        print_text(leaks.summary())
    if features is not None:
        places_of = {source.card.id: source.location for source in sources}
        shown |= {"features": _by_features(features, places_of, partial=partial, quiet=as_json)}
    if as_json:
        print_json(shown)


def _by_features(encoder: str, places: dict[str, Path], *, partial: bool, quiet: bool) -> dict[str, Any]:
    """Audit the main task of each dataset by the features of an encoder; print the first findings."""
    from ...learn.experiments.feature_audit import audit_features
    from ..shared.console import print_table

    all_found = {}
    for dataset, place in places.items():
        suspects, pairs = audit_features(encoder, dataset, data_dir=place, partial=partial)
        all_found[dataset] = {
            name: table.astype(object).where(table.notna(), None).to_dict("records")
            for name, table in (("suspect_labels", suspects), ("pairs", pairs))
        }
        if not quiet:
            print_text(f"\n{dataset}: {len(suspects):,} suspect labels, {len(pairs):,} pairs of similar images")
            first = suspects.head(SHOWN)
            cells = [[*map(str, row[:-1]), f"{row[-1]:.2f}"] for row in first.itertuples(index=False)]
            print_table(list(suspects.columns), cells, right=(len(suspects.columns) - 1,))
            print_table(
                list(pairs.columns),
                [[*map(str, row[:-1]), f"{row[-1]:.3f}"] for row in pairs.head(SHOWN).itertuples(index=False)],
                right=(len(pairs.columns) - 1,),
            )
    return all_found


def episodes(
    dataset: Id,
    task: OneTask = None,
    path: Annotated[
        Path | None, typer.Option("--out", help="Parquet file to write.", callback=writes("Parquet"))
    ] = None,
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
    exclude_leaks: Annotated[
        bool,
        typer.Option(
            "--exclude-leaks", help="Leave out images with a known copy in a later split than those drawn from."
        ),
    ] = False,
    data_dir: From = None,
    release: Release = False,
    labels: Labels = "released",
    partial: Partial = False,
    as_json: AsJson = False,
) -> None:
    """Draw few-shot episodes of a task; write them to a file or publish them on the Hub."""
    from ...cards.catalogue import DATASETS
    from ...files.remote.retry import quiet
    from ...learn.episodes.drawing import episodes as draw_episodes
    from ...learn.episodes.hub import check
    from ..shared.sources import check_source

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
        exclude_leaks=exclude_leaks,
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
    if as_json:
        print_json(drawn.about | {"episodes": len(drawn), "classes": drawn.classes, "sha256": drawn.sha256})
    else:
        print_text("\n".join(lines))
