"""Episode sets on the Hub: each a config of its own, best in the repository of the data."""

from __future__ import annotations

import re

from datasets import Dataset, DatasetDict, get_dataset_config_names, load_dataset
from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError
from huggingface_hub import HfApi

from ...cards.catalogue import DATASETS
from ...errors import MedIMetaError, PushFailed, some, unknown
from ...files.access import logged_in, made_public, repository_name
from ...files.repository import Remote
from ...files.retry import clean, patiently


def check(repo: str, name: str | None = None, *, token: str | None = None, private: bool = False) -> None:
    """Refuse, before anything is drawn, what could not be published after it.

    Args:
        repo: See `EpisodeSet.push`, as for the others.
        name: Of the config; None is fine.
        token: Of the user.
        private: Whether the repository must not be public.

    Raises:
        PushRefused: If the repository has no owner or is public and should not be, or if nobody is logged in.
        MedIMetaError: If the config's name is that of a dataset, or none.
        PushFailed: If the Hub cannot be reached, or does not know the user.
    """
    repository_name(repo)
    if name is not None and (name in DATASETS or not re.fullmatch(r"\w[\w.-]*", name)):
        why = "is a dataset, whose rows it would replace" if name in DATASETS else "is no name for a config"
        raise MedIMetaError(f"{name!r} {why}. Take letters, digits, _ and -, such as 'episodes_{name or 'bus'}'.")
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
    """Publish the rows of a set; see `EpisodeSet.push`."""
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
    """The rows of a published set; see `EpisodeSet.pull`."""
    where = {"token": token, "revision": revision}
    # The one has lost what it came from, which says whether to try again; the other is damage.
    final = (DatasetNotFoundError, DatasetGenerationError)
    try:
        names = patiently(lambda: get_dataset_config_names(repo, **where), final)
        if name not in names:
            raise unknown(f"config of {repo}", name, names)
        parts = patiently(lambda: load_dataset(repo, name, **where), final)
    except (*final, PushFailed) as error:
        raise MedIMetaError(
            f"{name} of {repo} cannot be read. {clean(str(error))} Check the name; a private repository wants a token "
            "(hf auth login, or HF_TOKEN)."
        ) from None
    if len(parts) != 1:
        raise MedIMetaError(
            f"{name} of {repo} has the splits {some(list(parts))}, so it is no set that `push` published."
        )
    (rows,) = parts.values()
    return rows
