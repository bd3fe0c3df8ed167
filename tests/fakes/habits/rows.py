"""Tables whose rows or cells are not those of the source."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

from .base import files, kind

Rows = list[list[str]]


def edited(folder: Path, change: Callable[[Rows], Rows], separator: str = ",") -> str:
    """Change all CSV tables; those without a header as well as those with one."""
    paths = files(folder, ".csv")
    for path in paths:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
        buffer = io.StringIO()
        csv.writer(buffer, delimiter=separator).writerows(change(rows))
        path.write_text(buffer.getvalue(), encoding="utf-8")
    return "*" if paths else ""


@kind("tables with quoted cells", equal=True)
def _(folder: Path) -> str:
    paths = files(folder, ".csv")
    for path in paths:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
        buffer = io.StringIO()
        csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows(rows)
        path.write_text(buffer.getvalue(), encoding="utf-8")
    return "*" if paths else ""


@kind("tables with semicolons")
def _(folder: Path) -> str:
    return edited(folder, lambda rows: rows, ";") and "';'"


@kind("tables with tabs")
def _(folder: Path) -> str:
    return edited(folder, lambda rows: rows, "\t") and "'\\t'"


@kind("tables with a further column", equal=True)
def _(folder: Path) -> str:
    """The tables of RFMiD have a column per finding, so that a further one could be a finding."""
    if any("RFMiD" in path.name for path in files(folder, ".csv")):
        return ""
    return edited(folder, lambda rows: [[*row, "my notes" if n == 0 else "x"] for n, row in enumerate(rows)])


@kind("tables with a first column of row numbers")
def _(folder: Path) -> str:
    return edited(folder, lambda rows: [["" if n == 0 else str(n - 1), *row] for n, row in enumerate(rows)])


@kind("tables with columns in another order")
def _(folder: Path) -> str:
    return edited(folder, lambda rows: [row[::-1] if len({len(r) for r in rows}) == 1 else row for row in rows])


@kind("tables with empty lines at the end", equal=True)
def _(folder: Path) -> str:
    paths = files(folder, ".csv", ".dat", ".txt")
    for path in paths:
        path.write_bytes(path.read_bytes().rstrip(b"\r\n") + b"\r\n\r\n\r\n")
    return "*" if paths else ""


@kind("tables with empty rows of a spreadsheet")
def _(folder: Path) -> str:
    return edited(folder, lambda rows: [*rows, [""] * len(rows[0])])


@kind("a row twice")
def _(folder: Path) -> str:
    return edited(folder, lambda rows: [*rows, rows[-1]])


@kind("a row twice with other values")
def _(folder: Path) -> str:
    """The last row again, with all that follows its name from the row before."""

    def change(rows: Rows) -> Rows:
        if len(rows) < 3 or len(rows[0]) < 2:
            return rows
        return [*rows, [rows[-1][0], *rows[-2][1:]]]

    return edited(folder, change)


@kind("whole numbers with .0", equal=True)
def _(folder: Path) -> str:
    def cell(text: str) -> str:
        return f"{text}.0" if text.isdecimal() and (text == "0" or text[0] != "0") else text

    return edited(folder, lambda rows: [rows[0], *([*map(cell, row)] for row in rows[1:])])


@kind("cells with blanks around them")
def _(folder: Path) -> str:
    return edited(folder, lambda rows: [rows[0], *([f" {text} " for text in row] for row in rows[1:])])


@kind("a header in upper case")
def _(folder: Path) -> str:
    return edited(folder, lambda rows: [[text.upper() for text in rows[0]], *rows[1:]])


@kind("names with blanks at their ends in the header")
def _(folder: Path) -> str:
    return edited(folder, lambda rows: [[f" {text}" for text in rows[0]], *rows[1:]])


NAMES = ("Image Index", "image", "ID", "case_num", "derm", "patient_id", "image_id")
LABELS = ("Finding Labels", "MEL", "DR", "diagnosis", "pathology", "patient_DR_Level", "Majority Decision")


@kind("a label that is missing")
def _(folder: Path) -> str:
    def change(rows: Rows) -> Rows:
        columns = [n for n, head in enumerate(rows[0]) if head in LABELS]
        return [rows[0], *([("" if n in columns else cell) for n, cell in enumerate(row)] for row in rows[1:])]

    return edited(folder, change)


@kind("a row without its name")
def _(folder: Path) -> str:
    def change(rows: Rows) -> Rows:
        first = next((n for n, head in enumerate(rows[0]) if head in NAMES), None)
        if first is not None and len(rows) > 1:
            rows[-1][first] = ""
        return rows

    return edited(folder, change)


@kind("tables as workbooks")
def _(folder: Path) -> str:
    import openpyxl

    paths = files(folder, ".csv")
    for path in paths:
        book = openpyxl.Workbook()
        for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))):
            book.active.append(row)
        book.save(path.with_suffix(".xlsx"))
        path.unlink()
    return ".xlsx" if paths else ""


@kind("tables that are compressed")
def _(folder: Path) -> str:
    import gzip

    paths = files(folder, ".csv", ".dat")
    for path in paths:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    return ".gz" if paths else ""


@kind("tables in Latin-1")
def _(folder: Path) -> str:
    return edited(folder, lambda rows: [[*row, "notes" if n == 0 else "é"] for n, row in enumerate(rows)]) and _latin(
        folder
    )


def _latin(folder: Path) -> str:
    for path in files(folder, ".csv"):
        path.write_bytes(path.read_text(encoding="utf-8").encode("latin-1"))
    return "*"


@kind("tables that Python's pickle wrote under the name")
def _(folder: Path) -> str:
    import pickle

    paths = files(folder, ".csv", ".dat")
    for path in paths:
        path.write_bytes(pickle.dumps(path.read_text(encoding="utf-8-sig")))
    return "*" if paths else ""
