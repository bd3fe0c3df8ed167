"""The `medimeta` command."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

import medimeta
from medimeta.cards.catalogue import DATASETS, DatasetCard
from medimeta.cards.errors import MedIMetaError, UnknownName

app = typer.Typer(
    help="MedIMeta: 19 medical imaging datasets, 54 tasks, one interface.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
out = Console()
err = Console(stderr=True)

Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Dataset ids; see `medimeta list`.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
From = Annotated[
    Path | None,
    typer.Option("--source", help="Raw archives, a release or a Hub folder; else MEDIMETA_DATA, else a download."),
]
Labels = Annotated[str, typer.Option(help='"released" or "corrected".')]
Partial = Annotated[bool, typer.Option("--partial", help="Take what is there of an incomplete source.")]
SplitsFrom = Annotated[
    str | None, typer.Option(help="Release folder, zip or annotations.csv whose split membership is applied.")
]
WithMasks = Annotated[bool, typer.Option("--with-masks", help="Add mask and box columns.")]
NumProc = Annotated[int, typer.Option(min=1, help="Processes that render images.")]


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    _state["debug"] = debug


_state = {"debug": False}


@app.command("list")
def list_datasets(
    domain: Annotated[str | None, typer.Option(help="Only this imaging domain.")] = None,
    target: Annotated[str | None, typer.Option(help="Only with a task of this kind.")] = None,
    licence: Annotated[
        str | None, typer.Option("--license", "--licence", help='"commercial": what may be used so.')
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the 19 datasets."""
    tasks = DATASETS.tasks(domain=domain, target=target)  # type: ignore[arg-type]
    if licence not in (None, "commercial"):
        raise UnknownName(f"Unknown licence filter {licence!r}. The only one is: commercial.")
    wanted = {task.dataset for task in tasks} & set(DATASETS.commercial() if licence else DATASETS)
    cards = [card for name, card in DATASETS.items() if name in wanted]
    if as_json:
        out.print_json(json.dumps([_summary(card) for card in cards]))
        return
    rows = [[c.id, c.name, c.domain, str(len(c.tasks)), f"{c.total:,}", c.licence.id] for c in cards]
    _table(["id", "dataset", "domain", "tasks", "images", "licence"], rows, right=(3, 4))


@app.command()
def info(dataset: Annotated[str, typer.Argument(metavar="ID")], as_json: AsJson = False) -> None:
    """Show all facts of one dataset: tasks, labels, splits, overlaps, licence, where to get it."""
    card = DATASETS[dataset]
    if as_json:
        out.print_json(json.dumps(asdict(card)))
        return
    out.print(f"[bold]{escape(card.name)}[/bold] ({card.id}), {escape(card.domain)}, {card.total:,} images {card.mode}")
    out.print(f"{escape(card.summary)}\n")
    rows = [
        [
            task.name,
            task.column,
            task.target,
            ", ".join(f"{k} {n}" for k, n in zip(task.keys, task.labels, strict=True)),
        ]
        for task in card.tasks
    ]
    _table(["task", "column", "target", "labels"], rows)
    splits = ", ".join(f"{name} {count:,}" for name, count in card.splits.counts.items())
    _facts(
        {
            "splits": f"{splits}. {card.splits.note}",
            "images": card.processing,
            "subjects": f"subject_id names the {card.subject}" if card.subject else "the source names none",
            "same domain": ", ".join(card.domain_overlaps) or "none",
            "shared subjects": "; ".join(
                f"{o.dataset} ({'published' if o.published else 'found by this project'}): {o.note}"
                for o in card.subject_overlaps
            )
            or "none known",
            "licence": card.licence.id + ("" if card.licence.commercial else " (no commercial use)"),
            "licence conflict": card.licence.conflict,
            "known issues": list(card.known_issues),
            "corrections": [f"{c.task or 'masks'}: {c.change} ({c.reason})" + _rows(c.rows) for c in card.corrections],
        }
    )
    for source in card.sources:
        _facts(
            {"source": f"{source.title}, {source.licence_text}", "page": source.url, "archives": list(source.archives)}
        )
    out.print(f"\n{escape(_how_to_build(card))}")


@app.command()
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
    from medimeta.builders.parallel import pool
    from medimeta.upload.folder import build as build_one

    options = {"labels": labels, "partial": partial, "splits_from": splits_from, "with_masks": with_masks}
    cards = [DATASETS[dataset] for dataset in datasets]
    with _resumable(), pool(num_proc, dask) as (executor, workers), _progress() as progress:
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
            splits = ", ".join(f"{split} {count:,}" for split, count in record.rows.items())
            progress.console.print(f"{card.id}: {splits}; splits: {_membership(record.membership)}")
            if record.partial:
                progress.console.print(f"{card.id}: incomplete, {sum(record.rows.values()):,} of {card.total:,} images")
    out.print(f"Wrote {folder}. Load it with: load_dataset({str(folder)!r}, {cards[0].id!r})", soft_wrap=True)


@app.command()
def card(folder: Annotated[Path, typer.Argument(metavar="HUBDIR")]) -> None:
    """Write README.md of a Hub folder again."""
    from medimeta.upload.folder import write_card

    out.print(f"Wrote {write_card(folder, medimeta.__version__)}", soft_wrap=True)


@app.command()
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
    from medimeta.builders.locate import open_source
    from medimeta.builders.parallel import pool
    from medimeta.builders.source import Options
    from medimeta.upload.compare import compare
    from medimeta.upload.findings import clean, summary
    from medimeta.upload.verify import verify_folder

    if against is None and (source is not None or (what in DATASETS and not Path(what).exists())):
        raise typer.BadParameter(
            "To compare a dataset, add --against DIR|RELEASE; to check a Hub folder, give just it."
        )
    with pool(num_proc) as (executor, workers), _progress() as progress:
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


@app.command()
def audit(
    places: Annotated[list[str], typer.Argument(metavar="HUBDIR|ID=PATH...", help="Datasets to compare, all at once.")],
    ledger: Annotated[Path | None, typer.Option("--out", help="Parquet file for the images that were found.")] = None,
    distance: Annotated[int, typer.Option(help="Bits of 64 in which near duplicates differ, at most.")] = 7,
    partial: Partial = False,
    num_proc: NumProc = 1,
    as_json: AsJson = False,
) -> None:
    """Look for images and subjects that occur twice, within and across splits and datasets."""
    from medimeta.builders.parallel import pool
    from medimeta.builders.source import Options
    from medimeta.tasks import leakage

    sources = leakage.find_sources(places, Options(partial=partial))
    with pool(num_proc) as (executor, workers), _progress() as progress:
        bar = progress.add_task("audit", total=None if partial else sum(source.card.total for source in sources))
        common: Any = {"executor": executor, "workers": workers, "advance": lambda rows: progress.advance(bar, rows)}
        found = leakage.audit(sources, distance=distance, **common)
    if ledger is not None:
        found.save(ledger)
    if as_json:
        out.print_json(json.dumps(found.as_dict()))
    else:
        out.print(found.summary(), markup=False, highlight=False, soft_wrap=True)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--out", help="Where results go.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Seed of data and training.")] = 0,
) -> None:
    """Build a miniature of `bus` offline, load it, fine-tune a tiny ViT on it, and draw what happened."""
    from medimeta.examples.demo import run

    run(folder, seed=seed)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: exit code 0 when it worked, 1 when it did not, 2 for a mistake in the command."""
    try:
        app(args=None if arguments is None else list(arguments))
    except UnknownName as error:
        sys.exit(_fail(str(error), 2))
    except MedIMetaError as error:
        sys.exit(_fail(str(error), 1))
    except ModuleNotFoundError as error:
        sys.exit(_fail(f"This needs {error.name}. Install it with: pip install 'medimeta-hf[all]'", 1))
    except OSError as error:
        sys.exit(_fail(_os_problem(error), 1))


@contextmanager
def _resumable() -> Iterator[None]:
    """Ctrl-C ends a command whose finished work is kept."""
    try:
        yield
    except KeyboardInterrupt:
        err.print("Interrupted. What was finished is kept; run the same command to go on.")
        raise typer.Exit(1) from None


def _fail(message: str, code: int) -> int:
    if _state["debug"]:
        err.print_exception()
    err.print(f"[bold red]Error:[/bold red] {escape(message)}", soft_wrap=True, highlight=False)
    return code


def _os_problem(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    advice = {
        errno.ENOSPC: "Free some space and run the same command again; what was finished is kept.",
        errno.EROFS: "Choose an output folder that can be written.",
        errno.EACCES: "Choose a folder that you may read and write, or change its permissions.",
    }.get(error.errno or 0, "Run the command with --debug to see where it happened.")
    return f"{error.strerror or error}{where}. {advice}"


def _summary(card: DatasetCard) -> dict[str, Any]:
    return {
        "id": card.id,
        "name": card.name,
        "domain": card.domain,
        "tasks": [task.name for task in card.tasks],
        "images": card.total,
        "licence": card.licence.id,
        "commercial": card.licence.commercial,
    }


def _membership(kind: str) -> str:
    return {
        "source": "the source's own",
        "computed": "the published membership, computed",
        "recomputed": "computed on these rows, so that membership differs from the release; --splits-from applies it",
        "release": "taken over from the release",
    }[kind]


def _how_to_build(card: DatasetCard) -> str:
    return (
        f"Put {', '.join(card.archives)} into one folder and run: medimeta build {card.id} --source FOLDER --out HUBDIR"
    )


def _rows(count: int | None) -> str:
    return "" if count is None else f" [{count:,} rows]"


def _facts(facts: dict[str, str | list[str] | None]) -> None:
    for name, value in facts.items():
        lines = value if isinstance(value, list) else [value] if value else []
        for position, line in enumerate(lines):
            out.print(
                f"[bold]{name if position == 0 else '':<16}[/bold] {escape(line)}", highlight=False, soft_wrap=True
            )


def _table(columns: Iterable[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> None:
    """A table on a terminal; tab-separated lines in a pipe."""
    if not out.is_terminal:
        for row in rows:
            out.file.write("\t".join(row) + "\n")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    out.print(table)


class _Rate(ProgressColumn):
    """Images per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.completed / max(task.elapsed or 0, 0.001):,.0f} images/s")


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:<16}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=err,
    )


if __name__ == "__main__":
    main()
