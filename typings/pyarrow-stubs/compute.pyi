"""Most functions of `pyarrow.compute` are made when it is imported, where type checkers do not see them."""

from typing import Any

def __getattr__(name: str) -> Any: ...
