"""Read files of predictions as tables: CSV with any common separator, Parquet, Excel."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...errors import MedIMetaError, SourceNotFound, missing_extra, some
from ...files.workbooks import check_workbook

MOST_ROWS = 200_000  # largest number of rows of a workbook
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_CELLS: dict[str, Any] = {"skipinitialspace": True, "keep_default_na": False, "na_values": [""]}  # a label may be "NA"
_HELP = "Give a CSV, Parquet or Excel file with a row per image; its columns: medimeta evaluate --help"


def read_table(path: Path, columns: Iterable[str]) -> pd.DataFrame:
    """Read a table.

    The separator of a CSV file is the one with which its first line has most of the columns.

    Args:
        path: Parquet if its name ends in .parquet or .pq, Excel if in .xlsx, else CSV; case does not matter.
        columns: Names that the table may have; others are kept, too.

    Returns:
        Cells of CSV files as text, empty ones as NaN.

    Raises:
        MedIMetaError: If the file cannot be read, or two columns have the same name.
    """
    try:
        table = _read(path, set(columns))
    except ImportError as error:
        raise missing_extra("openpyxl", "build", f"Reading {path}") from error
    except Exception as error:  # whatever the readers raise: ArrowInvalid, BadZipFile, ParserError, UnicodeDecodeError
        if isinstance(error, FileNotFoundError):
            raise SourceNotFound(f"{path} does not exist. {_HELP}", code="predictions-not-found") from error
        raise MedIMetaError(f"{path} cannot be read as a table ({error}). {_HELP}", code="invalid-file") from error
    names = Counter(map(str, table.columns))
    if twice := [name for name, count in names.items() if count > 1]:
        raise MedIMetaError(f"{path} has several columns called {some(twice)}. Leave one of each.")
    return table.rename(columns=str)


def numbers(column: pd.Series) -> np.ndarray:
    """Return cells as numbers, with a decimal point or, in all cells alike, a decimal comma.

    Args:
        column: Numbers or text.

    Returns:
        float64; NaN for what is not a number, infinity for numbers that are too large for float64.
    """
    text = column[[isinstance(cell, str) for cell in column]]
    if len(text) and not text.str.contains(".", regex=False).any():
        column = column.map(lambda cell: cell.replace(",", ".") if isinstance(cell, str) else cell)
    return np.array([_number(cell) for cell in column], np.float64)


def separator_of(line: str, columns: set[str]) -> str:
    """Return the separator with which a first line has most of the columns; the comma if none has any."""

    def known(separator: str) -> int:
        return len(columns & set(next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])))

    return max(SEPARATORS, key=known)


def _read(path: Path, columns: set[str]) -> pd.DataFrame:
    suffix = path.suffix.lower()
    if suffix in (".parquet", ".pq"):
        import pyarrow.parquet as pq

        names = pq.read_schema(path).names
        if len(set(names)) < len(names):  # cannot be read
            return pd.DataFrame(columns=names)
        return pd.DataFrame(pq.read_table(path).to_pandas())
    if suffix == ".xlsx":
        content = path.read_bytes()
        check_workbook(content, MOST_ROWS)
        cells = pd.read_excel(io.BytesIO(content), header=None, engine="openpyxl")
    else:
        text = path.read_text(encoding="utf-8-sig")
        separator = separator_of(text.partition("\n")[0], columns)
        cells = pd.read_csv(io.StringIO(text), sep=separator, header=None, dtype=str, **_CELLS)
    # Without a header pandas keeps two columns of the same name as they are.
    return cells.iloc[1:].reset_index(drop=True).set_axis(cells.iloc[0].fillna(""), axis=1)


def _number(cell: object) -> float:
    try:
        return float(cell)  # type: ignore[arg-type]
    except OverflowError:
        return float("inf")
    except (TypeError, ValueError):
        return float("nan")
