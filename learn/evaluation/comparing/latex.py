"""A table of results as LaTeX, for a paper that uses the package booktabs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...figures.style import metric_name
from .result_table import ResultTable, one_line

_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_SPECIAL |= {character: f"\\{character}" for character in "&%$#_{}"}


def latex(tables: Sequence[ResultTable], *, transposed: bool = False) -> str:
    """Return a `table` environment per protocol and split; the best value of each task is bold.

    Args:
        tables: The tables.
        transposed: Whether tasks are rows and methods are columns.
    """
    return "\n".join(_table(table, transposed) for table in tables)


def _table(table: ResultTable, transposed: bool) -> str:
    heads, *rows = table.grid(transposed=transposed)
    caption = f"{table.protocol}, {table.split}: {metric_name(table.metric)}. {' '.join(table.notes)}"
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "\\centering",
        f"\\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        "\\toprule",
        _row(heads),
        "\\midrule",
        *map(_row, rows),
        "\\bottomrule",
        "\\end{tabular}",
        f"\\caption{{{_text(caption).strip()}}}",
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(_text, cells)) + r" \\"


def _text(text: str) -> str:
    escaped = "".join(_SPECIAL.get(character, character) for character in one_line(text))
    return re.sub(r"\*\*(.+?)\*\*", r"\\textbf{\1}", escaped)
