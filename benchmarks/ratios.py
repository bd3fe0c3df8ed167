"""Ratios and their targets, from the tables that the benchmarks print, as a table and as a picture.

A ratio over 1 is in our favour. A limit (at most so many seconds) is turned into a ratio, too: the one that meeting the
limit exactly would give.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medimeta.learn.figures.style import styled

Row = dict[str, str]  # cells by column
BETTER, WORSE = "#0072b2", "#c77700"  # distinct for colour-blind readers, too


@dataclass(frozen=True)
class Ratio:
    """One bar.

    Attributes:
        case: What was measured.
        value: How many times better than the peer.
        target: How many times better it should be at least; None without a target.
    """

    case: str
    value: float
    target: float | None = None


@dataclass(frozen=True)
class Table:
    """One printed table.

    Attributes:
        title: The line of text before it, "" if there is none.
        rows: Its rows.
    """

    title: str
    rows: list[Row]


def tables(shown: str) -> Iterator[Table]:
    """The Markdown tables of what a benchmark printed, with the line of text before each."""
    title, columns, rows = "", list[str](), list[Row]()
    for line in [*shown.splitlines(), ""]:
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells and rows:
            yield Table(title, rows)
        if not cells:
            title, columns, rows = line or title, [], []
        elif not columns:
            columns = cells
        elif not re.fullmatch(r"[|:-]+", line):
            rows.append(dict(zip(columns, cells, strict=True)))


def number(cell: str) -> float:
    """A number as it is printed, with its commas."""
    return float(cell.replace(",", ""))


def times(value: float) -> str:
    """A ratio as people write it: "1,260x", "35x", "1.57x", "0.78x"."""
    return f"{value:,.0f}x" if value >= 10 else f"{value:.2f}x"


def build(table: Table) -> Iterator[Ratio]:
    """Speed as a share of the bound, where nothing is written; speed and size next to the plain loop."""
    bound = {row["dataset"]: number(row["images/s"]) for row in table.rows if "nothing written" in row["side"]}
    for row in table.rows:
        dataset, side = row["dataset"], row["side"].removeprefix("medimeta, ")
        if side == "plain loop":
            continue
        yield Ratio(f"{dataset}, {side}: images/s", number(row["ratio to the loop"]))
        if side == "1 process":
            other = next(r for r in table.rows if r["side"] == row["side"] + ", published order")
            share = number(row["images/s"]) / number(other["images/s"])
            yield Ratio(f"{dataset}, shuffled: share of the published order", share, 0.9)
        if "process" in side:
            yield Ratio(f"{dataset}, {side}: share of the bound", number(row["images/s"]) / bound[dataset], 0.9)
        if "2 processes" in side:
            yield Ratio(f"{dataset}: smaller on disk", 1 / number(row["share of the release layout"]), 1 / 0.3)


def batches(table: Table) -> Iterator[Ratio]:
    """Images per second next to the peer, or its stand-in, and next to a bare gather."""
    dataset = table.title.partition(",")[0]
    target = {"store, uint8": 15, "store, float32 normalised": 2, "decoded each time, float32": 0.8}
    to_peer = next(column for column in table.rows[0] if column.startswith("x ") and column != "x bare gather")
    for row in table.rows[2:]:
        yield Ratio(f"{dataset}: {row['side']}", number(row[to_peer]), target.get(row["side"]))
        if row["side"] == "store, float32 augmented":
            for other in (one for one in table.rows if "augmented" in one["side"] and one is not row):
                value = number(row[to_peer]) / number(other[to_peer])
                least = (1.4, 2) if "before" in other["side"] else (3, 5)
                yield Ratio(f"{dataset}: augmented, to {other['side']}", value, least[dataset == "bus"])
        if row["side"] == "store, uint8":
            yield Ratio(f"{dataset}: {row['side']}, to a bare gather", number(row["x bare gather"]), 0.8)


def loading(table: Table) -> Iterator[Ratio]:
    """Seconds and MB next to plain `datasets`."""
    for row in table.rows:
        limit = row["target"].removeprefix("under ")
        target = None if limit == "-" else number(row["plain datasets"]) / number(limit)
        yield Ratio(re.sub(r", (s|MB)\b", "", row["step"]), number(row["ratio to plain"]), target)


def episodes(table: Table) -> Iterator[Ratio]:
    """Milliseconds per episode next to the time that was reported for the published sampler."""
    for row in table.rows:
        reported, limit = number(row["published, reported ms"]), 5 if "multilabel" in row["rows"] else 2
        yield Ratio(row["rows"], reported / number(row["ms per episode"]), reported / limit)


def evaluation(table: Table) -> Iterator[Ratio]:
    """Seconds next to scikit-learn."""
    for row in table.rows:
        limit = None if row["limit s"] == "-" else number(row["scikit-learn s"]) / number(row["limit s"])
        yield Ratio(row["what"], number(row["ratio"]), limit)


def encoders(table: Table) -> Iterator[Ratio]:
    """Images per second next to the bare forward pass."""
    for row in table.rows:
        yield Ratio(row["encoder"], number(row["ratio"]), number(row["at least"]))


def probes(table: Table) -> Iterator[Ratio]:
    """Seconds next to scikit-learn, a matrix product, or a limit."""
    for row in table.rows:
        if row["ratio"] != "-":
            yield Ratio(row["what"], number(row["ratio"]), number(row["at least"]))


def push(table: Table) -> Iterator[Ratio]:
    """Commits, requests, bytes and seconds next to `push_to_hub`, where both sides need any."""
    sides = {(row["step"], row["side"]): row for row in table.rows}
    for step in dict.fromkeys(row["step"] for row in table.rows):
        own, other = sides[step, "medimeta push"], sides[step, "push_to_hub"]
        for what in ("commits", "requests", "bytes sent", "seconds"):
            if number(own[what]) and number(other[what]):
                yield Ratio(f"{step}: {what}", number(other[what]) / number(own[what]))


READERS: dict[str, Callable[[Table], Iterator[Ratio]]] = {
    "build": build,
    "batches": batches,
    "loading": loading,
    "episodes": episodes,
    "evaluation": evaluation,
    "encoders": encoders,
    "probes": probes,
    "push": push,
}


def ratios(name: str, shown: str) -> list[Ratio]:
    """The ratios in what a benchmark printed; none for a benchmark without a peer."""
    return [ratio for table in tables(shown) for ratio in READERS[name](table)] if name in READERS else []


def peer(name: str, shown: str) -> str:
    """The other side of a benchmark."""
    if name == "batches" and "x stand-in" in shown:
        return "a stand-in for the published loader"
    return {
        "build": "a plain loop",
        "batches": "the published loader",
        "loading": "plain datasets",
        "episodes": "the published sampler, as it was reported",
        "evaluation": "a loop over scikit-learn",
        "encoders": "a bare forward pass",
        "probes": "scikit-learn, a matrix product or the limit",
        "push": "push_to_hub",
    }[name]


def summary(found: dict[str, list[Ratio]]) -> str:
    """A Markdown table of all ratios with a target, by benchmark."""
    lines = ["| benchmark | case | ratio | target |  |", "|---|---|--:|--:|---|"]
    for name, bars in found.items():
        for bar in bars:
            if bar.target is not None:
                met = "met" if bar.value >= bar.target else "**missed**"
                lines.append(f"| {name} | {bar.case} | {times(bar.value)} | {times(bar.target)} | {met} |")
    return "\n".join(lines)


@styled
def draw(bars: Sequence[Ratio], other: str, path: Path) -> None:
    """Draw a bar per ratio, from 1 to its value, with a line at its target.

    Args:
        bars: What to draw, from the top.
        other: The other side.
        path: PNG file to write; the same bars give the same bytes.
    """
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = Figure(figsize=(7.2, 0.9 + 0.26 * len(bars)))
    axes = figure.subplots()
    places = range(len(bars))
    asked = [(place, bar.target) for place, bar in zip(places, bars, strict=True) if bar.target is not None]
    low, high = [place - 0.42 for place, _ in asked], [place + 0.42 for place, _ in asked]
    axes.vlines([value for _, value in asked], low, high, color="#202020", linewidth=2, label="target", zorder=3)
    lengths = [bar.value - 1 for bar in bars]
    drawn = axes.barh(places, lengths, left=1, height=0.6, color=[BETTER if one > 0 else WORSE for one in lengths])
    labels = axes.bar_label(drawn, [times(bar.value) for bar in bars], padding=4, fontsize="small")
    for label, bar in zip(labels, bars, strict=True):
        if bar.target is not None and bar.value < bar.target:  # the line would cross the number
            label.xy = (bar.target, label.xy[1])
    axes.axvline(1, color="grey", linewidth=1)
    axes.set_xscale("log")
    axes.margins(x=0.15)
    values = [1.0, *(bar.value for bar in bars), *(value for _, value in asked)]
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(values) < 30 * min(values) else (1,)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(places, [bar.case for bar in bars], fontsize="small")
    axes.invert_yaxis()
    axes.set_xlabel(f"times better than {other} (left of 1: worse)", fontsize="small")
    axes.tick_params(labelsize="small")
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    if asked:
        figure.legend(loc="outside upper right")
    figure.savefig(path, format="png", metadata={"Software": None})
