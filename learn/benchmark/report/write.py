"""Write a report into a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ....errors import MedIMetaError
from ....files.atomic import whole_file
from ....files.outputs import check_output
from ...evaluation.comparing import pictures
from ...evaluation.comparing.comparison import Sourced
from ...evaluation.comparing.latex import latex
from ...evaluation.comparing.result_table import markdown_head, markdown_row, write_frames
from ...figures.style import metric_name, save
from . import curves
from .content import Content, content
from .page import Picture, page

TITLE = "MedIMeta benchmark"
_FILES = {
    "tables.md": "Markdown",
    "tables.tex": "LaTeX",
    "tables.csv": "CSV",
    "summary.csv": "CSV",
    "index.html": "HTML",
}
MANY = 8  # tasks, above which they go down in LaTeX


def report(
    results: Sequence[Sourced],
    folder: str | os.PathLike[str],
    *,
    metric: str = "auroc",
    title: str = TITLE,
    failures: Sequence[object] = (),
) -> Path:
    """Write a report: index.html, tables.md, tables.csv, tables.tex, summary.csv and figures.

    Args:
        results: Results with their files, as `results.results` returns them.
        folder: Folder of the report, created if needed. Files of an earlier report are replaced.
        metric: Metric that methods are compared by.
        title: Title of the page.
        failures: Evaluations that failed.

    Returns:
        Path of the page.

    Raises:
        UnknownName: If no result has the metric.
        MedIMetaError: If there are no results, two have the same method, task, seed and settings, or a file that is not
            of a report would be overwritten.
    """
    folder = Path(folder)
    for name, kind in _FILES.items():
        check_output(folder / name, kind)
    shown = content(results, metric, title, failures)
    drawn = _pictures(shown, metric)
    for picture in drawn:
        save(picture.figure, folder / "figures" / f"{picture.name}.png")
    _ranks(shown, folder)
    _write(folder / "tables.md", markdown(shown))
    _write(folder / "tables.tex", tex(shown))
    write_frames([shown.frame()], folder / "tables.csv")
    write_frames([shown.summary()], folder / "summary.csv")
    _write(folder / "index.html", page(shown, metric, drawn))
    return folder / "index.html"


def markdown(shown: Content) -> str:
    """Return all tables as Markdown, with means over datasets where there are several tasks."""
    lines = [f"# {shown.title}", ""]
    for part in shown.parts:
        lines.append(part.table.markdown())
        if len(part.table.tasks) > 1 and len(part.domains) > 1:
            lines += markdown_head(["method, means over datasets", "mean", *part.domains])
            for row in part.rows:
                cells = [row.averages["mean"], *(row.domains[name] for name in part.domains)]
                lines.append(markdown_row([row.method, *("-" if cell is None else f"{cell:.3f}" for cell in cells)]))
            lines.append("")
    if shown.failures:
        failed = [f"* {' '.join(failure.split())}" for failure in shown.failures]
        lines += ["### Failed, and in no table", "", *failed, ""]
    return "\n".join(lines)


def tex(shown: Content) -> str:
    """Return all tables as LaTeX, with tasks as rows if there are many."""
    tables = [part.table for part in shown.parts]
    return latex(tables, transposed=max(len(table.tasks) for table in tables) > MANY)


def _pictures(shown: Content, metric: str) -> list[Picture]:
    methods = list(dict.fromkeys([*shown.models, *(name for part in shown.parts for name in part.table.methods)]))
    drawn = []
    for kind, name in zip(curves.KINDS, ("few-shot", "label-efficiency"), strict=True):
        if lines := curves.curves(shown, kind):
            caption = f"{metric_name(metric)} over {kind[0].lower() + kind[1:]}. Bars are 95 % intervals."
            drawn.append(Picture.of(name, caption, curves.draw(lines, kind, metric, methods)))
    return drawn


def _ranks(shown: Content, folder: Path) -> None:
    """Draw a critical-difference diagram for each protocol on a split whose methods can be compared."""
    for part in shown.parts:
        if part.standing is not None and not part.table.protocol.startswith("few-shot"):
            name = part.table.protocol.replace(" ", "-").replace(",", "").replace("%", "percent")
            pictures.write_ranks(part.standing, folder / "figures" / f"ranks-{name}.png")


def _write(path: Path, text: str) -> None:
    try:
        with whole_file(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MedIMetaError(f"{path} cannot be written: {error}.") from error
