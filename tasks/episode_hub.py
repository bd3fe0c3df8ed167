"""Episode sets on the Hub: each a config of its own, best in the repository of the data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from datasets import Dataset, DatasetDict, get_dataset_config_names, load_dataset
from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError
from huggingface_hub import HfApi

from ..cards.catalogue import DATASETS
from ..cards.errors import MedIMetaError, some, unknown
from ..upload.patience import PushFailed, clean, patiently
from ..upload.refusals import logged_in, made_public, repository_name
from ..upload.remote import Remote

if TYPE_CHECKING:
    from .episode_set import EpisodeSet


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
    found: EpisodeSet, repo: str, name: str | None, *, token: str | None, private: bool | None, revision: str | None
) -> str:
    """Publish a set; see `EpisodeSet.push`."""
    check(repo, name, token=token, private=bool(private))
    name = default_name(found) if name is None else name
    split = re.sub(r"\W", "_", found.split)  # "train+validation" would be no name for a split
    parts = DatasetDict({split: found.to_dataset()})
    patiently(
        lambda: parts.push_to_hub(
            repo,
            name,
            data_dir=f"episodes/{name}",
            commit_message=f"Publish {name}: {len(found):,} episodes, SHA-256 {found.sha256}",
            token=token,
            private=private,
            revision=revision,
        )
    )
    return name


def default_name(found: EpisodeSet) -> str:
    """`episodes_<dataset>_<task column>_<shots>shot`."""
    return f"episodes_{found.task.dataset}_{found.task.column}_{found.shots}shot"


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
