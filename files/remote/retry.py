"""Repeat calls to the Hub while that can help, and turn its errors into messages with the next step.

Messages contain no tokens, no signed addresses and no request objects.
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

from ...errors import MedIMetaError, PushFailed, visible
from .network import TRANSIENT, TRIES, asked_wait, delay, offline_variable

logger = logging.getLogger("medimeta")
Result = TypeVar("Result")

QUIET = 3.0  # seconds; longer waits are logged

CONFLICTS = frozenset({409, 412})  # a push that lost a race reads the repository again and retries
# What `huggingface_hub` raises. The base of its own errors is that of its HTTP client (requests, httpx, httpx2).
FAILURES = (cast(type[Exception], HfHubHTTPError.__bases__[0]), OSError, RuntimeError, ValueError)

_SECRETS = (
    (re.compile(r"\b(hf|api_org)_[0-9A-Za-z]{16,}"), r"\1_..."),
    (re.compile(r"(https?://[^\s'\"?]+)\?[^\s'\"]*"), r"\1"),
)
_ADVICE = {
    401: "The Hub does not accept the token, or there is none. Log in with: hf auth login",
    403: "The token does not allow this. Use one with write access to the repository: hf auth login",
    404: "There is no such dataset repository or branch, or the token does not give access to it.",
    400: "The Hub rejected the request. Run `medimeta verify` on the folder, and report the problem if it is clean.",
}
_CODES = {400: "rejected-by-hub", 401: "not-logged-in", 403: "no-permission", 404: "repository-not-found"}
_AGAIN = "Check the connection and rerun the command, which continues where it stopped."


def patiently(call: Callable[[], Result], known: tuple[type[Exception], ...] = (), *, tries: int = TRIES) -> Result:
    """Call a function until it succeeds or another attempt cannot help.

    Args:
        call: The function; calling it twice must do no harm.
        known: Errors that the caller handles; they are raised unchanged.
        tries: Most attempts.

    Raises:
        PushFailed: With the reason and the next step.
    """
    if offline_variable():
        raise explained(OfflineModeIsEnabled())
    attempt = 0
    while True:
        try:
            return call()
        except known:
            raise
        except FAILURES as error:
            wait(error, attempt, tries)
        attempt += 1


def wait(error: Exception, attempt: int, tries: int = TRIES) -> None:
    """Wait after a failed attempt, longer each time or as long as the Hub asks.

    Args:
        error: Why it failed.
        attempt: How many attempts failed before.
        tries: Most attempts.

    Raises:
        PushFailed: If another attempt cannot help, or this was the last one.
    """
    if isinstance(error, MedIMetaError):
        raise error
    if attempt + 1 >= tries or not transient(error):
        raise explained(error) from None
    seconds = delay(attempt + 1, _asked(error))
    if seconds > QUIET:
        logger.warning("%s Trying again in %.0f s.", explained(error, advise=False), seconds)
    sleep(seconds)


def transient(error: Exception) -> bool:
    """Whether the same call may work later."""
    causes = list(_causes(error))
    statuses = [status for status in map(_status, causes) if status is not None]
    if statuses:
        return statuses[0] in TRANSIENT | CONFLICTS
    if any(isinstance(cause, OfflineModeIsEnabled) for cause in causes):
        return False
    first = causes[-1]
    if isinstance(first, OSError):  # from local files, or from the connection
        return isinstance(first, (ConnectionError, TimeoutError)) or first.errno is None
    return isinstance(first, JSONDecodeError) or not isinstance(first, ValueError)


def explained(error: Exception, *, advise: bool = True) -> PushFailed:
    """Return the error with its reason and, if wanted, the next step."""
    causes = list(_causes(error))
    status = next((status for status in map(_status, causes) if status is not None), None)
    text = clean("; ".join(dict.fromkeys(str(cause).strip() or type(cause).__name__ for cause in causes)))
    if any(isinstance(cause, OfflineModeIsEnabled) for cause in causes):
        name = offline_variable() or "HF_HUB_OFFLINE"
        return PushFailed(f"The Hub cannot be used: {name} is set. Unset it to go online.", code="offline")
    advice = _ADVICE.get(status or 0, _AGAIN if transient(error) else "") if advise else ""
    end = "" if text.endswith((".", "!", "?")) else "."
    return PushFailed(f"The Hub: {text}{end} {advice}".strip(), code=_CODES.get(status or 0, "push-failed"))


def quiet() -> None:
    """Silence the Hub's client: its warnings show signed addresses, and its progress bars collide with ours."""
    if constants.HF_HUB_DISABLE_PROGRESS_BARS is None:
        disable_progress_bars()
    set_verbosity(logging.ERROR)


def clean(text: str) -> str:
    """Remove tokens, signatures in addresses and control characters from a message."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return visible(text, keep="\n")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and the errors that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__


def _status(error: BaseException) -> int | None:
    status: Any = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _asked(error: Exception) -> float | None:
    """Return the seconds that the Hub asks to wait, if it does."""
    for cause in _causes(error):
        headers = getattr(getattr(cause, "response", None), "headers", None) or {}
        if (seconds := asked_wait(headers)) is not None:
            return seconds
    return None
