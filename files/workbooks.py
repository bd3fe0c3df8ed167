"""Excel workbooks from anyone: checked before a library reads them."""

from __future__ import annotations

import io
import re
from zipfile import ZipFile

MOST_BYTES = 64 << 20  # unpacked
_CELL = re.compile(rb"<(?:\w+:)?(?:c|row)\b[^>]*?\br=[\"']([A-Z]*)(\d+)")


def check_workbook(content: bytes, rows: int) -> None:
    """Check that a workbook is small: one cell far away becomes millions of empty ones, and entities can grow.

    Args:
        content: The workbook.
        rows: Most rows that it may have. It may have columns up to ZZ.

    Raises:
        ValueError: If it has more rows, columns or bytes.
        zipfile.BadZipFile and others: If it is damaged.
    """
    with ZipFile(io.BytesIO(content)) as parts:
        if (size := sum(info.file_size for info in parts.infolist())) > MOST_BYTES:
            raise ValueError(f"it unpacks to {size:,} bytes")
        for name in parts.namelist():
            part = parts.read(name)
            if b"<!ENTITY" in part:
                raise ValueError(f"{name} defines entities, as no workbook does")
            if name.lower().endswith(".xml"):
                for column, row in _CELL.findall(part):
                    if len(column) > 2 or len(row) > len(str(rows)) or int(row) > rows:
                        raise ValueError(f"cell {(column + row).decode()} is outside a table of {rows:,} rows")
