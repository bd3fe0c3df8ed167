"""Rules for the network, shared by downloads and the Hub: when to retry, how long to wait, and offline mode."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

TRIES = 7  # attempts in a row without progress: about a minute
LONGEST_WAIT = 330.0  # seconds; the Hub counts requests in windows of five minutes
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})  # HTTP statuses of requests that may work later


def delay(failures: int, asked: float | None = None) -> float:
    """Return the seconds to wait before the next attempt: 1, 2, 4, ..., or longer if the server asks for it.

    Args:
        failures: Failed attempts in a row, at least 1.
        asked: Seconds that the server asks for.
    """
    return min(LONGEST_WAIT, max(2.0 ** (failures - 1), asked or 0.0))


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks to wait, or None if it does not say.

    Args:
        headers: Response headers: `Retry-After` with seconds or a date, or `RateLimit` with no requests remaining
            (`r=0`) until its window ends (`t` seconds).
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    if text:
        try:
            date = parsedate_to_datetime(text)
        except ValueError:  # a date that does not exist, or something else
            pass
        else:
            date = date if date.tzinfo else date.replace(tzinfo=UTC)
            return max(0.0, (date - datetime.now(UTC)).total_seconds())
    if (match := re.search(r"r=0;\s*t=(\d{1,9})", headers.get("RateLimit", ""))) is not None:
        return float(match[1]) + 1
    return None


def offline_variable() -> str:
    """Return the environment variable that switches the network off; "" if none does."""
    names = ("HF_DATASETS_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return next((name for name in names if os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE")), "")
