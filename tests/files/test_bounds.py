"""Files from anyone are refused before they take memory or time: YAML, workbooks, Parquet footers."""

from __future__ import annotations

import io
import zipfile

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medimeta.errors import MedIMetaError, SourceBroken
from medimeta.files.parquet_footer import Chunk, column_chunks
from medimeta.files.workbooks import check_workbook
from medimeta.files.yaml_values import read_yaml

ALIASES = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))


@pytest.mark.parametrize(
    "text",
    [ALIASES, "[" * 100_000, "- " * 50_000, "x: &x [*x]", "x: 2024-13-45", "1" * 5000, "? [a]\n: b", "x: *y", "\t",
     b"\xff"],
)  # fmt: skip
def test_yaml_is_refused_in_one_way(text):
    with pytest.raises(ValueError):
        read_yaml(text)


def test_yaml_with_aliases_is_read():
    assert read_yaml("a: &a [1]\nb: *a\n") == {"a": [1], "b": [1]}


def workbook(cell="A1"):
    book = openpyxl.Workbook()
    book.active[cell] = 1
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("cell", ["XFD1", "A1048576", "A101"])
def test_workbooks_with_a_cell_far_away_are_refused(cell):
    with pytest.raises(ValueError, match="outside"):
        check_workbook(workbook(cell), 100)


def test_workbooks_with_entities_are_refused():
    buffer = io.BytesIO(workbook())
    with zipfile.ZipFile(buffer, "a") as file:
        file.writestr("xl/more.xml", '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>')

    with pytest.raises(ValueError, match="entities"):
        check_workbook(buffer.getvalue(), 100)
    check_workbook(workbook("ZZ100"), 100)


def test_column_chunks_are_those_that_pyarrow_sees(tmp_path):
    path = tmp_path / "x.parquet"
    table = pa.table({"a": ["x", None] * 50, "b": [[{"c": 1}], []] * 50, "d": pa.nulls(100)})
    pq.write_table(table, path, row_group_size=30, write_page_index=True)
    footer = pq.read_metadata(path)

    columns = [map(footer.row_group(i).column, range(footer.num_columns)) for i in range(footer.num_row_groups)]
    expected = [
        [Chunk(c.path_in_schema, c.num_values, c.total_uncompressed_size, c.has_offset_index) for c in group]
        for group in columns
    ]
    assert column_chunks(path) == expected


@pytest.mark.parametrize("end", [b"", b"PAR1", b"\xff\xff\xff\x7fPAR1", b"\x19\xfc\xff\xff\xff\x7f\x06\0\0\0PAR1"])
def test_damaged_footers_are_refused(tmp_path, end):
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1" + b"\x1c" * 300 + end)

    with pytest.raises(SourceBroken, match=r"x\.parquet"):
        column_chunks(path)


def test_long_texts_in_messages_are_cut():
    assert len(str(MedIMetaError(f"x.csv: {'x' * 10**6} is not a label"))) < 500
    assert len(str(MedIMetaError("word " * 10**6))) < 20_000
    assert str(MedIMetaError("x" * 900)) == "x" * 900
