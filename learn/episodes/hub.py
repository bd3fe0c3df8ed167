"""Episode sets on the Hub, each as its own config, preferably in the repository of the data."""

from __future__ import annotations

import re
from typing import Any

from datasets import Dataset, DatasetDict, get_dataset_config_names, load_dataset
from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError
from huggingface_hub import HfApi

from ...cards.catalogue import DATASETS
from ...errors import MedIMetaError, PushFailed, some, unknown
from ...files.remote.access import logged_in, made_public, repository_name
from ...files.remote.repository import Remote
from ...files.remote.retry import clean, patiently


def check(repo: str, name: str | None = None, *, token: str | None = None, private: bool = False) -> None:
    """Check, before anything is drawn, that a set can be published.

    Args:
        repo: As for `EpisodeSet.push`.
        name: Name of the config; None for the default name.
        token: User access token; by default the one stored by `hf auth login`.
        private: Whether the repository must not be public.

    Raises:
        PushRefused: If the repository name has no owner, the repository is public and should not be, or nobody is
            logged in.
        MedIMetaError: If the name of the config is that of a dataset, or not a valid name.
        PushFailed: If the Hub cannot be reached or rejects the token.
    """
    repository_name(repo)
    if name is not None and (name in DATASETS or not re.fullmatch(r"\w[\w.-]*", name)):
        why = "is a dataset, whose rows it would replace" if name in DATASETS else "is not a valid name of a config"
        safe = re.sub(r"\W+", "_", name).strip("_")
        raise MedIMetaError(f"{name!r} {why}. Use letters, digits, _ and -, such as 'episodes_{safe or 'bus'}'.")
    api = HfApi(token=token)
    logged_in(repo, api)
    patiently(api.whoami)
    made_public(Remote(repo, api=api).state(), repo, private=private)


def push(
    rows: Dataset,
    split: str,
    repo: str,
    name: str,
    *,
    message: str,
    token: str | None,
    private: bool | None,
    revision: str | None,
) -> None:
    """Publish a set as a dataset; see `EpisodeSet.push`."""
    check(repo, name, token=token, private=bool(private))
    parts = DatasetDict({re.sub(r"\W", "_", split): rows})  # "train+validation" cannot name a split
    patiently(
        lambda: parts.push_to_hub(
            repo,
            name,
            data_dir=f"episodes/{name}",
            commit_message=message,
            token=token,
            private=private,
            revision=revision,
        )
    )


def pull(repo: str, name: str, *, token: str | None, revision: str | None) -> Dataset:
    """Return a published set as a dataset; see `EpisodeSet.pull`."""
    where: dict[str, Any] = {"token": token, "revision": revision}
    # Neither is retried: the first hides its cause, so it may be permanent; the second means that files are damaged.
    final = (DatasetNotFoundError, DatasetGenerationError)
    try:
        names = patiently(lambda: get_dataset_config_names(repo, **where), final)
        if name not in names:
            raise unknown(f"config of {repo}", name, names)
        parts = patiently(lambda: load_dataset(repo, name, **where), final)
    except (*final, PushFailed) as error:
        raise MedIMetaError(
            f"{name} of {repo} cannot be read. {clean(str(error))} Check the name; a private repository needs a token "
            "(hf auth login, or HF_TOKEN)."
        ) from None
    if len(parts) != 1:
        raise MedIMetaError(
            f"{name} of {repo} has the splits {some(list(parts))}, so it is not a set published by `EpisodeSet.push`."
        )
    (rows,) = parts.values()
    return rows
