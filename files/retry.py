"""Calls to the Hub that are tried again while that can help, and errors that say what to do next.

No message holds a token or a signed address, and none carries the request it came from.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from json import JSONDecodeError
from time import sleep
from typing import Any, TypeVar, cast

from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]
from huggingface_hub.utils.logging import set_verbosity

from ..errors import MedIMetaError, PushFailed

Result = TypeVar("Result")

TRIES = 8
# Conflicts are among them: a push that loses a race looks at the repository again and tries anew.
TRANSIENT = frozenset({408, 409, 412, 425, 429, 500, 502, 503, 504})
# What `huggingface_hub` raises; the base of its own errors is also that of its HTTP client (requests, httpx, httpx2).
FAILURES = (cast(type[Exception], HfHubHTTPError.__bases__[0]), OSError, RuntimeError, ValueError)
LONGEST_WAIT = 330.0  # seconds; the Hub counts requests in windows of five minutes

_SECRETS = (
    (re.compile(r"\b(hf|api_org)_[0-9A-Za-z]{16,}"), r"\1_..."),
    (re.compile(r"(https?://[^\s'\"?]+)\?[^\s'\"]*"), r"\1"),
)
_ADVICE = {
    401: "The Hub does not know who you are. Log in with: hf auth login",
    403: "This token may not do that. Use one with write access to the repository: hf auth login",
    404: "There is no such dataset repository or branch, or this token may not see it.",
    400: "The Hub does not accept this. Run `medimeta verify` on the folder, and report it if that finds nothing.",
}
_AGAIN = "What has arrived stays there; run the same command to go on."


def patiently(call: Callable[[], Result], known: tuple[type[Exception], ...] = ()) -> Result:
    """Call until it works, or until trying again cannot help.

    Args:
        call: What to do; doing it twice must do no harm.
        known: Errors that the caller understands; they are raised as they are.

    Raises:
        PushFailed: Saying why and what to do next.
    """
    attempt = 0
    while True:
        try:
            return call()
        except known:
            raise
        except FAILURES as error:
            wait(error, attempt)
        attempt += 1


def wait(error: Exception, attempt: int) -> None:
    """Wait after a failed attempt, as long as the Hub says or longer each time.

    Args:
        error: Why it failed.
        attempt: How many attempts failed before.

    Raises:
        PushFailed: If another attempt cannot help, or there were enough.
    """
    if isinstance(error, MedIMetaError):
        raise error
    if attempt + 1 >= TRIES or not transient(error):
        raise explained(error) from None
    sleep(min(LONGEST_WAIT, max(_told(error), 2.0**attempt)))


def transient(error: Exception) -> bool:
    """Whether the same call may work later."""
    causes = list(_causes(error))
    statuses = [status for status in map(_status, causes) if status is not None]
    if statuses:
        return statuses[0] in TRANSIENT
    if any(isinstance(cause, OfflineModeIsEnabled) for cause in causes):
        return False
    first = causes[-1]
    if isinstance(first, OSError):  # of this machine's files, or of the connection
        return isinstance(first, (ConnectionError, TimeoutError)) or first.errno is None
    return isinstance(first, JSONDecodeError) or not isinstance(first, ValueError)


def explained(error: Exception) -> PushFailed:
    """The error in words: what happened, and what to do next."""
    causes = list(_causes(error))
    status = next((status for status in map(_status, causes) if status is not None), None)
    text = clean("; ".join(dict.fromkeys(str(cause).strip() or type(cause).__name__ for cause in causes)))
    advice = _ADVICE.get(status or 0, _AGAIN if transient(error) else "")
    return PushFailed(f"The Hub: {text} {advice}".strip())


def quiet() -> None:
    """Keep the Hub's client from the terminal: its warnings show signed addresses, its bars would fight with others."""
    if constants.HF_HUB_DISABLE_PROGRESS_BARS is None:
        disable_progress_bars()
    set_verbosity(logging.ERROR)


def clean(text: str) -> str:
    """A message without tokens and without the signatures in addresses."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__


def _status(error: BaseException) -> int | None:
    status: Any = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _told(error: Exception) -> float:
    """Seconds that the Hub asks to wait: `Retry-After`, or the rest of the window in which requests are counted."""
    for cause in _causes(error):
        headers = getattr(getattr(cause, "response", None), "headers", None) or {}
        if (after := headers.get("Retry-After", "")).isdigit():
            return float(after)
        if (match := re.search(r"r=0;\s*t=(\d+)", headers.get("RateLimit", ""))) is not None:
            return float(match[1]) + 1
    return 0.0
