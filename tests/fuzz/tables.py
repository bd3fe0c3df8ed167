"""Mutations of tables: CSV, Parquet, Excel."""

from __future__ import annotations

import csv
import io

import pyarrow as pa
import pyarrow.parquet as pq

from .archives import rezipped
from .mutations import TEXTS, as_json, mutated, pick, value


def cells(rng, rows):
    """A table (lists of cells as text) with a cell, a column or a row changed."""
    rows = [list(row) for row in rows]
    row, column = int(rng.integers(len(rows))), int(rng.integers(len(rows[0])))
    how = pick(rng, ("cell", "cell", "cell", "cell", "head", "drop", "double", "row", "rows", "none", "swap", "short"))
    if how == "cell":
        row = max(1, row) if len(rows) > 1 else 0
        rows[row][column % len(rows[row])] = str(value(rng, rows[row][column % len(rows[row])]))
    elif how == "head":
        rows[0][column] = pick(rng, [*TEXTS, *rows[0]])
    elif how == "drop":
        rows = [r[:column] + r[column + 1 :] for r in rows]
    elif how == "double":
        rows = [[*r, *r[column : column + 1]] for r in rows]
    elif how == "row":
        rows.insert(row, rows[row])
    elif how == "rows":
        del rows[row]
    elif how == "none":
        del rows[1:]
    elif how == "swap":
        rows[1:] = [rows[1:][i] for i in rng.permutation(len(rows) - 1)]
    else:
        rows[row] = rows[row][:column]
    return rows


def as_csv(rng, data, separator=","):
    """CSV with a cell changed, in another encoding or with another separator, or its bytes."""
    if rng.random() < 0.25:
        return mutated(rng, data)
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig")), delimiter=separator))
    buffer = io.StringIO()
    other = pick(rng, (separator, separator, separator, separator, ";", "\t"))
    csv.writer(buffer, delimiter=other).writerows(cells(rng, rows))
    encoding = pick(rng, ("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"))
    text = buffer.getvalue()
    if rng.random() < 0.1:
        place = int(rng.integers(len(text) + 1))
        text = text[:place] + pick(rng, ('"', "\x00", "\n\n", ",,,", "\r", "x" * 10**6)) + text[place:]
    return text.encode(encoding, "replace" if encoding == "latin-1" else "surrogatepass")


CELLS = (None, -1, 2**40, 0.5, float("nan"), float("inf"), "x", b"\xff", True, [1], {"a": 1}, "2" * 400, "\x1b[31m")


def as_parquet(rng, data):
    """A Parquet file with a value, a column, its types or its metadata changed, or its bytes."""
    if rng.random() < 0.3:
        return mutated(rng, data)
    table = pq.read_table(io.BytesIO(data))
    place = int(rng.integers(table.num_columns))
    name, column = table.column_names[place], table.column(place)
    how = pick(
        rng, ("value", "value", "cast", "drop", "double", "rows", "none", "metadata", "metadata", "name", "nulls")
    )
    if how == "value":
        values = column.to_pylist()
        if values:
            row = int(rng.integers(len(values)))
            old = values[row]
            inside = isinstance(old, dict | list) and bool(old) and rng.random() < 0.7
            values[row] = changed_inside(rng, old) if inside else pick(rng, CELLS)
        table = table.set_column(place, name, array(values, column.type))
    elif how == "cast":
        kind = pick(rng, (pa.int64(), pa.float64(), pa.string(), pa.large_string(), pa.binary(), pa.int8(), pa.bool_()))
        table = table.set_column(place, name, array(column.to_pylist(), kind))
    elif how == "drop":
        table = table.remove_column(place)
    elif how == "double":
        table = table.append_column(name, column)
    elif how == "rows":
        rows = rng.integers(0, len(table), int(rng.integers(0, 20))) if len(table) else []
        table = table.take(pa.array(rows, pa.int64()))
    elif how == "none":
        table = table.slice(0, 0)
    elif how == "name":
        table = table.rename_columns({name: pick(rng, TEXTS[:20]).encode("utf-8", "ignore").decode()})
    elif how == "nulls":
        table = table.set_column(place, name, pa.nulls(len(table), column.type))
    elif table.schema.metadata:
        key = pick(rng, table.schema.metadata)
        text = table.schema.metadata[key]
        new = as_json(rng, text) if text.startswith(b"{") else mutated(rng, text)
        table = table.replace_schema_metadata(table.schema.metadata | {key: new})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def array(values, kind):
    """An array of some type; of the values' own types, or of text, where they do not fit."""
    for how in (lambda: pa.array(values, kind), lambda: pa.array(values)):
        try:
            return how()
        except (pa.ArrowException, ValueError, TypeError, OverflowError):
            continue
    return pa.array([str(v).encode("utf-8", "ignore").decode() for v in values])


def changed_inside(rng, old):
    keys = list(old) if isinstance(old, dict) else range(len(old))
    key = pick(rng, keys)
    new = dict(old) if isinstance(old, dict) else list(old)
    new[key] = mutated(rng, new[key]) if isinstance(new[key], bytes) else pick(rng, (None, -1, 2**31 - 1, 0, 1))
    return new


def as_xlsx(rng, data):
    """A workbook with its XML, its archive or one cell changed."""
    how = rng.random()
    if how < 0.2:
        return mutated(rng, data)
    if how < 0.6:
        import openpyxl

        book = openpyxl.load_workbook(io.BytesIO(data))
        sheet = book.worksheets[0]
        rows = [["" if cell is None else cell for cell in row] for row in sheet.iter_rows(values_only=True)]
        far = pick(rng, ("", "", "", "XFD1048576", "A1048576", "XFD1"))
        sheet.delete_rows(1, sheet.max_row)
        for row in cells(rng, rows):
            cleaned = ["".join(filter(str.isprintable, c))[:30_000] if isinstance(c, str) else c for c in row]
            sheet.append(cleaned)
        if far:
            sheet[far] = 1
        buffer = io.BytesIO()
        book.save(buffer)
        return buffer.getvalue()

    def edit(members):
        place = int(rng.integers(len(members)))
        name, content = members[place]
        lines = pick(rng, (mutated, mutated, bomb))
        members[place] = (name, lines(rng, content))

    return rezipped(data, edit)


def bomb(rng, data):
    """XML with entities that grow."""
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12))
    head = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "xxxxxxxxxx">{entities}]>'.encode()
    return head + data.partition(b"?>")[2].replace(b"<v>", b"<v>&e11;", 1)
