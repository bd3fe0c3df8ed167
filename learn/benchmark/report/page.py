"""The report as one self-contained HTML page, which needs no server."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...evaluation.comparing.comparison import task_name
from ...evaluation.comparing.result_table import ResultTable
from ...evaluation.measures.intervals import Measured
from ...evaluation.measures.metrics import SMALLER_IS_BETTER
from ...figures.style import metric_name
from .content import Content, Part, domain_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HERE = Path(__file__).parent
PER_CLASS = ("linear probe", "full supervision", "nearest prototype", "nearest neighbours", "zero-shot")  # first found


@dataclass(frozen=True)
class Picture:
    """A figure of the page.

    Attributes:
        name: Name of its files.
        caption: What it shows.
        figure: The figure.
        svg: The same as SVG that takes its ink from the page.
    """

    name: str
    caption: str
    figure: Figure
    svg: str

    @classmethod
    def of(cls, name: str, caption: str, figure: Figure) -> Picture:
        """Make the picture of a figure."""
        return cls(name, caption, figure, svg(figure, name))


def svg(figure: Figure, salt: str) -> str:
    """Return a figure as SVG without background, whose black is the colour of the page's text.

    Args:
        figure: The figure.
        salt: Prefix that makes the ids in the SVG unique among several figures.
    """
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": salt, "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    groups = r'(?<=["#])(figure|axes|patch|line2d|text|matplotlib\.axis|xtick|ytick|legend)(_[\w.]+)"'
    text = re.sub(groups, rf'{salt}-\1\2"', text)
    return re.sub(r"(stroke|fill): ?#(000000|262626)", r"\1: currentColor", text).replace(
        "<svg ", '<svg fill="currentColor" aria-hidden="true" ', 1
    )


def page(content: Content, metric: str, pictures: Sequence[Picture]) -> str:
    """Return the HTML page of a report.

    Args:
        content: Content of the report.
        metric: Metric that methods are compared by.
        pictures: Figures of the page.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"cells": _cells, "metric_name": metric_name, "best": _best, "domain_of": domain_of}
    names = {task_name(result) for _, result in content.results}
    classes_of, classes = _classes(content)
    return environment.get_template("page.html.jinja").render(
        content=content,
        metric=metric_name(metric),
        smaller=metric in SMALLER_IS_BETTER,
        tasks=len(names),
        datasets=len({result.dataset for _, result in content.results}),
        domains=list(dict.fromkeys(domain_of(task) for task in sorted(names))),
        published=any(part.table.protocol.endswith("published probe") for part in content.parts),
        figures=pictures,
        classes=classes,
        classes_of=classes_of,
        css=(HERE / "page.css").read_text(encoding="utf-8"),
        js=(HERE / "page.js").read_text(encoding="utf-8"),
    )


def _classes(content: Content) -> tuple[str, list[tuple[str, list[str], list[tuple[str, int, list[Measured]]]]]]:
    """Return the protocol whose classes are shown, and for each task its methods and values per class."""
    protocols = {result.protocol for _, result in content.results}
    protocol = next((name for name in PER_CLASS if name in protocols), "")
    by_task: dict[str, dict[str, Any]] = {}
    for _, result in content.results:
        if result.protocol == protocol and len(result.classes) > 1 and result.kind != "binary":
            by_task.setdefault(task_name(result), {}).setdefault(result.method, result)
    shown = []
    for task in sorted(by_task):
        results = by_task[task]
        labels = list(dict.fromkeys(label for result in results.values() for label in result.classes))
        rows = []
        for label in labels:
            support = max((_of(result, label, "support").value or 0) for result in results.values())
            rows.append((label, int(support), [_of(result, label, "auroc") for result in results.values()]))
        shown.append((task, list(results), rows))
    return protocol, shown


def _of(result: Any, label: str, metric: str) -> Measured:
    value: Measured = result.classes.get(label, {}).get(metric, Measured(None))
    return value


def _best(part: Part, name: str) -> float | None:
    values = [row.averages["mean"] if name == "mean" else row.domains[name] for row in part.rows]
    known = [round(value, 3) for value in values if value is not None]
    choose = min if part.table.metric in SMALLER_IS_BETTER else max
    return choose(known) if len(known) > 1 else None


class _Shown(NamedTuple):
    """A cell of a table: its number, whether it is the best of its task, and how strong its colour is, 0 to 1."""

    measured: Measured
    bold: bool
    heat: float | None


def _cells(table: ResultTable, task: str) -> list[_Shown | None]:
    """Return the cells of a task, in the order of the methods."""
    best = table.best(task)
    return [_cell(table, method, task, best) for method in table.methods]


def _cell(table: ResultTable, method: str, task: str, best: float | None) -> _Shown | None:
    cell = table.cells.get((method, task))
    if cell is None:
        return None
    value = cell.measured.value
    heat = None
    if value is not None and table.metric not in SMALLER_IS_BETTER:
        heat = min(max((value - 0.5) / 0.5 if table.metric == "auroc" else value, 0.0), 1.0)
    bold = len(table.methods) > 1 and value is not None and round(value, 3) == best
    return _Shown(cell.measured, bold, heat)
