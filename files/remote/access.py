"""Checks before anything is published: the name of the repository, the token, the visibility."""

from __future__ import annotations

import huggingface_hub
from huggingface_hub import HfApi

from ...errors import PushRefused
from .repository import State


def repository_name(repo: str) -> None:
    """Check that a repository name has a namespace.

    Raises:
        PushRefused: If it has none.
    """
    if repo.count("/") != 1:
        raise PushRefused(
            f"{repo!r} is not the name of a repository. Give <user or organisation>/<name>, e.g. ns/medimeta.",
            code="invalid-repository",
        )


def logged_in(repo: str, api: HfApi | None, hint: str = "") -> None:
    """Check that there is a token; without one, the client would retry for minutes.

    Args:
        repo: Name of the repository.
        api: The Hub's client, with or without a token.
        hint: A last sentence: what to do without a token.

    Raises:
        PushRefused: If there is no token.
    """
    if not ((api and api.token) or huggingface_hub.get_token()):
        raise PushRefused(
            f"Publishing {repo} needs a login. Run: hf auth login, or set HF_TOKEN to a token with write access."
            f"{' ' if hint else ''}{hint}",
            code="not-logged-in",
        )


def made_public(state: State, repo: str, *, private: bool) -> None:
    """Check that `--private` is not given for a repository that is public already.

    Raises:
        PushRefused: If it is.
    """
    if private and state.private is False:
        raise PushRefused(
            f"{repo} exists and is public. --private is for new repositories. Push to another name, or change the "
            "visibility on its settings page first.",
            code="repository-is-public",
        )
