"""Assertions on errors: class, code and the things that the message names, never its wording."""

from __future__ import annotations

from contextlib import contextmanager

import pytest


@contextmanager
def raises(kind, code=None, *names):
    """Expect an error of a class with a code, whose message names some things: files, rows, values, commands.

    Args:
        kind: The class, exactly.
        code: Its stable code; the default one of the class if None.
        *names: Parts that the message must contain.
    """
    with pytest.raises(kind) as caught:
        yield caught
    try:
        assert type(caught.value) is kind, type(caught.value)
        assert caught.value.code == (code or kind.code), caught.value
        for name in names:
            assert str(name) in str(caught.value), caught.value
    finally:
        del caught  # its traceback holds this frame: a circle would keep files of the test open
