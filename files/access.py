"""Who may publish, and where: what is checked before anything is made or sent."""

from __future__ import annotations

import huggingface_hub
from huggingface_hub import HfApi

from ..errors import PushRefused
from .repository import State


def repository_name(repo: str) -> None:
    """The repository has a namespace, so that it is clear whose it is.

    Raises:
        PushRefused: If it has none.
    """
    if repo.count("/") != 1:
        raise PushRefused(f"{repo!r} names no repository. Give <user or organisation>/<name>, such as ns/medimeta.")


def logged_in(repo: str, api: HfApi | None, hint: str = "") -> None:
    """Refuse to publish for somebody without a token; an empty one would be asked about for minutes.

    Args:
        repo: Name of the repository.
        api: The Hub's client, with a token or without.
        hint: What to do without one.

    Raises:
        PushRefused: If there is none.
    """
    if not ((api and api.token) or huggingface_hub.get_token()):
        raise PushRefused(
            f"Nobody is logged in, and only who is may publish {repo}. Run: hf auth login, or set HF_TOKEN to a token "
            f"with write access.{' ' if hint else ''}{hint}"
        )


def made_public(state: State, repo: str, *, private: bool) -> None:
    """`--private` does not hide what is public already.

    Raises:
        PushRefused: If the repository is public and was not meant to be.
    """
    if private and state.private is False:
        raise PushRefused(
            f"{repo} is there and public. --private is for new repositories: hiding this one would take it from those "
            "who use it. Push to another name, or change its visibility on the settings page first."
        )
