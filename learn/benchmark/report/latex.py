"""Tables in LaTeX."""

from __future__ import annotations

from ...evaluation.comparing.result_table import ResultTable

MANY = 8  # tasks, above which they go down instead of across
_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_SPECIAL |= {letter: f"\\{letter}" for letter in "&%$#_{}"}


def latex(table: ResultTable) -> str:
    """Return a table as a `tabular` with booktabs rules; the best value of each task is bold.

    Methods are down and tasks across; the other way round where there are many tasks.
    """
    methods, tasks = table.methods, table.tasks
    across, down = (methods, tasks) if len(tasks) > MANY else (tasks, methods)
    lines = [
        rf"% {table.protocol}, {table.split}: {table.metric}",
        rf"\begin{{tabular}}{{l{'r' * len(across)}}}",
        r"\toprule",
        _line(["", *map(escape, across)]),
        r"\midrule",
    ]
    for name in down:
        pairs = [(other, name) if across is methods else (name, other) for other in across]
        lines.append(_line([escape(name), *(_cell(table, *pair) for pair in pairs)]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def escape(text: str) -> str:
    """Escape what LaTeX would read as a command."""
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def _cell(table: ResultTable, method: str, task: str) -> str:
    cell = table.cells.get((method, task))
    if cell is None or cell.measured.value is None:
        return "--"
    value = f"{cell.measured.value:.3f}"
    if len(table.methods) > 1 and round(cell.measured.value, 3) == table.best(task):
        value = rf"\textbf{{{value}}}"
    low, high = cell.measured.low, cell.measured.high
    return value if low is None or high is None else rf"{value} {{\scriptsize [{low:.3f}, {high:.3f}]}}"


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"
