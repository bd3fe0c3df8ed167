"""Publish feature banks as Parquet in a dataset repository on the Hub, and download them from there.

Layout  <dataset>/<split>/<key>.json     description of the bank, and the SHA-256 of its features
                          <key>.parquet  columns `index`, the row's id in the dataset, and `features`
        README.md                        the terms of the datasets, and what features can reveal
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import RepositoryNotFoundError

from ....cards.catalogue import DATASETS
from ....cards.citing import cite
from ....errors import MedIMetaError, PushRefused, some
from ....files.atomic import whole_file
from ....files.remote.access import logged_in, made_public, repository_name
from ....files.remote.repository import Remote, State
from ....files.remote.retry import FAILURES, clean, patiently
from .banks import IDS, Bank
from .identity import differences

CARD = "README.md"
_CARD = """---
pretty_name: MedIMeta features
tags: [medical, medimeta, features]
license: other
configs:
{configs}
---

# Features of MedIMeta images

Vectors that pre-trained encoders give for the images of [MedIMeta](https://arxiv.org/abs/2404.16000), one row per
image; `index` is the row's id in the dataset. The JSON file next to each Parquet file names the weights, the
preprocessing and the library versions that they were computed with.

```py
import medimeta

vectors = medimeta.features("ENCODER", "DATASET", split="train", repo="{repo}")
```

**Features can identify people.** From features of foundation models, 26 % of the patients of chest X-rays and 46 % of
those of OCT scans were re-identified ([npj Digital Medicine, 2025](https://doi.org/10.1038/s41746-025-01801-0)). Treat
them as you treat the images. The terms of the images apply to their features:

{terms}

| dataset | split | encoder | images | features |
|---|---|---|--:|--:|
{rows}
"""

log = logging.getLogger(__name__)


def push(
    banks: Sequence[Bank],
    repo: str,
    *,
    private: bool = False,
    permissions: Collection[str] = (),
    api: HfApi | None = None,
    sent: Callable[[int], None] = lambda size: None,
) -> list[str]:
    """Publish finished banks in one commit; those that are on the Hub already are not sent again.

    Args:
        banks: The banks.
        repo: Name of the dataset repository, created if it does not exist.
        private: Whether a new repository must not be public.
        permissions: Ids of datasets that the user is permitted to redistribute.
        api: The Hub's client.
        sent: Called with the size of each uploaded batch in bytes.

    Returns:
        Paths in the repository of the files that are new or changed; empty if there are none.

    Raises:
        PushRefused: If there is no bank, nobody is logged in, or the terms of a dataset forbid redistribution and the
            repository is public.
        PushFailed: If the Hub cannot be reached or rejects a request.
    """
    api = api or HfApi()
    repository_name(repo)
    finished = [bank for bank in banks if bank.features.is_file()]
    if not finished:
        raise PushRefused(
            "No finished features in the cache. Compute them with medimeta.features or medimeta bench; see medimeta "
            "cache --kind features.",
            code="no-features",
        )
    logged_in(repo, api)
    patiently(api.whoami)
    remote = Remote(repo, api=api)
    state = remote.state()
    made_public(state, repo, private=private)
    public = not (private or state.private)
    datasets = {bank.about["dataset"] for bank in finished} - set(permissions)
    if public and (forbidden := sorted(name for name in datasets if not DATASETS[name].licence.redistribution)):
        raise PushRefused(
            f"The terms of {some(forbidden)} do not allow redistributing the images, and features can reveal them. "
            "Publish the others with --dataset, or use your own private repository: --private.",
            code="no-redistribution",
        )
    files = {path: data for bank in finished for path, data in _files(bank).items()}
    abouts = _abouts(remote, state) | {path: json.loads(data) for path, data in files.items() if path.endswith(".json")}
    files[CARD] = _card(repo, abouts).encode()
    new = {path: data for path, data in files.items() if path not in state.files or not state.files[path].holds(data)}
    if not new:
        return []
    remote.create(private=private)
    additions = [CommitOperationAdd(path, data) for path, data in sorted(new.items())]
    remote.upload(additions, sent)
    banked = sum(path.endswith(".parquet") for path in new)
    patiently(lambda: remote.commit(additions, f"Publish features: {banked} bank(s)", "", None))
    return sorted(new)


def find(repo: str, bank: Bank) -> np.ndarray | None:
    """Return published features of the images, weights and preprocessing of a bank; None if there are none.

    They are downloaded into the cache, as a bank with the published identity. Without a connection, features that were
    downloaded before are used.

    Args:
        repo: Name of the dataset repository.
        bank: The requested bank.

    Raises:
        MedIMetaError: If the repository cannot be read, or the features are damaged.
    """
    repository_name(repo)
    place = f"{bank.about['dataset']}/{bank.about['split']}"
    try:
        folder = patiently(
            lambda: snapshot_download(repo, repo_type="dataset", allow_patterns=f"{place}/*.json"),
            (RepositoryNotFoundError, FileNotFoundError),
        )
    except (*FAILURES, MedIMetaError) as error:
        why = clean(str(error)).strip().partition("\n")[0]
        raise MedIMetaError(
            f"Features cannot be looked up in {repo}: {why} Check the name and the connection, or leave out repo= to "
            "compute them.",
            code="features-not-found",
        ) from None
    for file in sorted(Path(folder, place).glob("*.json")):
        about = json.loads(file.read_text(encoding="utf-8"))
        different = differences(about["identity"], bank.about["identity"])
        if any(not line.startswith("versions.") for line in different):
            continue
        if different:
            log.warning("Features in %s were computed with other versions: %s.", repo, "; ".join(different))
        return _downloaded(repo, f"{place}/{file.stem}.parquet", about)
    log.warning("%s has no features of %s by %s; they are computed.", repo, place, bank.about["encoder"])
    return None


def _downloaded(repo: str, path: str, about: Mapping[str, Any]) -> np.ndarray:
    own = {key: value for key, value in about.items() if key not in ("identity", "sha256")}
    bank = Bank.of(about["identity"], own)
    if (finished := bank.open()) is not None:
        return finished
    table = pq.read_table(patiently(lambda: hf_hub_download(repo, path, repo_type="dataset")))
    values = np.asarray(table["features"].combine_chunks().flatten(), np.float32).reshape(bank.shape)
    if hashlib.sha256(values.tobytes()).hexdigest() != about["sha256"]:
        raise MedIMetaError(
            f"{path} of {repo} is damaged: its SHA-256 is not that of the features.", code="bank-damaged"
        )
    with bank.lock():
        if bank.open() is None:
            bank.prepare(np.asarray(table["index"]) if "index" in table.column_names else None)
            with whole_file(bank.features) as partial, partial.open("wb") as file:
                np.save(file, values, allow_pickle=False)
        features = bank.open()
    if features is None:
        raise MedIMetaError(f"{bank.path} was deleted. Rerun the command.")
    return features


def _files(bank: Bank) -> dict[str, bytes]:
    features = bank.open()
    if features is None:
        raise MedIMetaError(f"{bank.path} was deleted. Rerun the command.")
    ids = bank.path / IDS
    columns: dict[str, Any] = {"index": pa.array(np.load(ids, allow_pickle=False))} if ids.is_file() else {}
    columns["features"] = pa.FixedSizeListArray.from_arrays(pa.array(features.reshape(-1)), features.shape[1])
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd", use_dictionary=False)
    about = bank.about | {"sha256": hashlib.sha256(features.tobytes()).hexdigest()}
    start = f"{bank.about['dataset']}/{bank.about['split']}/{bank.path.name}"
    text = json.dumps(about, indent=2, sort_keys=True) + "\n"
    return {f"{start}.parquet": buffer.getvalue(), f"{start}.json": text.encode()}


def _abouts(remote: Remote, state: State) -> dict[str, dict[str, Any]]:
    """Return the descriptions of the banks that are already on the Hub, by path."""
    paths = [path for path in state.files if path.endswith(".json") and path.count("/") == 2]
    return {path: json.loads(remote.read(path, state)) for path in sorted(paths)}


def _card(repo: str, abouts: Mapping[str, Mapping[str, Any]]) -> str:
    entries = [(path.removesuffix(".json"), about) for path, about in sorted(abouts.items())]
    configs = [
        f"- config_name: {path.replace('/', '-')}\n  data_files:\n  - split: {about['split']}\n    path: {path}.parquet"
        for path, about in entries
    ]
    rows = [
        f"| {about['dataset']} | {about['split']} | {about['encoder']} | {about['identity']['rows']:,} "
        f"| {about['identity']['width']:,} |"
        for _, about in entries
    ]
    names = list(dict.fromkeys(about["dataset"] for _, about in entries))
    terms = "\n".join(f"* {line}" for line in cite(*names).attribution)
    return _CARD.format(configs="\n".join(configs), repo=repo, terms=terms, rows="\n".join(rows))
