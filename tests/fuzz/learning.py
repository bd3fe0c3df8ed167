"""Files of the learning side: results, predictions, episode sets and ledgers."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from fakes.episodes import KIND, toy
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options
from medimeta.cards.catalogue import DATASETS
from medimeta.errors import MedIMetaError
from medimeta.learn.data.exclusion.ledger import Ledger, leaked_indices
from medimeta.learn.episodes import table as tables
from medimeta.learn.episodes.episode_set import EpisodeSet
from medimeta.learn.episodes.recipe import Recipe
from medimeta.learn.episodes.sampler import sample_episodes
from medimeta.learn.evaluation.comparing.report import make
from medimeta.learn.evaluation.predictions import Predictions
from medimeta.learn.evaluation.results import Result, results
from medimeta.learn.leakage.audit import audit, find_sources
from medimeta.upload.folder.writing import build

from .tables import as_parquet


@cache
def rows_of_toy() -> Any:
    return toy(KIND, [0, 1, 2] * 6, [f"s{n // 2}" for n in range(18)])


def prepare_episodes(folder: Path) -> None:
    recipe = Recipe(shots=1, queries=2)
    sample_episodes(rows_of_toy(), KIND, recipe, n=3, seed=0, split="test").save(folder / "set.parquet")


def as_episodes(rng: np.random.Generator, data: bytes) -> bytes:
    """An episode set that is changed and mostly has the right hash, so that its content is looked at."""
    changed = as_parquet(rng, data)
    if rng.random() < 0.3:
        return changed
    try:
        table = pq.read_table(io.BytesIO(changed))
        columns = tables.schema(multilabel=False)
        about = json.loads(table.schema.metadata[tables.ABOUT])
        signed = tables.digest(table.select(columns.names).cast(columns), about)
    except Exception:
        return changed
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(table.schema.metadata | {tables.SHA256: signed.encode()}), buffer)
    return buffer.getvalue()


def read_episodes(folder: Path) -> Mapping[str, Any]:
    loaded = EpisodeSet.load(folder / "set.parquet", rows_of_toy())
    repr(loaded)
    return {str(e.number): [*e.support.tolist(), *e.query.tolist(), *map(str, e.classes)] for e in loaded} | {
        "": repr(loaded)
    }


TASK = DATASETS["bus"].tasks[0]


def bus_rows() -> Any:
    return toy(TASK, [0, 1, 2] * 3)


def scores() -> np.ndarray:
    return np.random.default_rng(0).dirichlet(np.ones(3), 9)


def prepare_result(folder: Path) -> None:
    about = {"split": "test", "protocol": "p", "model": "m", "seed": 0, "resamples": 10, "settings": {"lr": 0.1}}
    for name in ("a", "b"):
        path = folder / name / "result.json"
        path.parent.mkdir()
        Result.of_scores(TASK, scores(), bus_rows(), method=name, **about).save(path)


def read_result(folder: Path) -> Mapping[str, Any]:
    loaded = results([folder])
    for metric in ("auroc", "accuracy"):
        report = make(loaded, metric, per_class=False, compared=True)
        repr(report)
    loaded[0][1].save(folder / "again.json")
    return {str(path.relative_to(folder)): json.dumps(result.as_dict()) for path, result in loaded}


def prepare_predictions(folder: Path) -> None:
    import pandas as pd

    table = pd.DataFrame(scores().round(6), columns=list(TASK.labels)).assign(index=range(9))
    table.to_csv(folder / "p.csv", index=False)
    table.to_csv(folder / "p.tsv", index=False, sep="\t")
    table.to_parquet(folder / "p.parquet", index=False)
    table.to_excel(folder / "p.xlsx", index=False)


def read_predictions(folder: Path) -> Mapping[str, Any]:
    about = {"split": "test", "protocol": "p", "method": "m", "model": "m", "seed": 0, "resamples": 5}
    found, refused = {}, []
    for path in sorted(folder.iterdir()):
        try:
            result = Predictions.read(path, TASK).of_split(bus_rows(), **about)
            found[path.name] = json.dumps(result.as_dict())
        except MedIMetaError as error:
            refused.append(error)
    if refused:
        raise refused[0]
    return found


def prepare_ledger(folder: Path) -> None:
    raw = write_miniature("bus", folder / "raw", per_class=2)
    build(open_source("bus", raw, Options(partial=True)), folder / "hub", version="0")
    audit(find_sources([str(folder / "hub")]), distance=16).save(folder / "ledger.parquet")
    shutil.rmtree(folder / "hub")
    shutil.rmtree(raw)


def read_ledger(folder: Path) -> Mapping[str, Any]:
    ledger = Ledger.load(folder / "ledger.parquet")
    leaks = {split: sorted(leaked_indices(ledger, "bus", split)) for split in ("train", "validation", "test")}
    return {"summary": ledger.summary(), "leaks": str(leaks), "json": json.dumps(ledger.as_dict())}
