"""Killed at any point and run again, or run by several processes, a benchmark writes the same bytes."""

from __future__ import annotations

import multiprocessing
import os
import random
import time

import pytest
import torch

import medimeta
from medimeta.builders.phantoms import write_miniature
from medimeta.learn.encoders.feature_banks import banks

KILLS = 20  # spread over the whole run
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked, so that each starts at once"),
]
MODELS = """
import medimeta, torch

def flat():
    function = lambda x: torch.nn.functional.avg_pool2d(x[:, :1], 4).flatten(1)
    form = {"size": 16, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    return medimeta.encoder(function, name="flat", sha256="0" * 64, **form)
"""


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return write_miniature("bus", tmp_path_factory.mktemp("raw"), per_class=20)


@pytest.fixture
def model(tmp_path):
    (tmp_path / "models.py").write_text(MODELS)
    return f"{tmp_path / 'models.py'}:flat"


def run(model, raw, out, jobs=1):
    torch.set_num_threads(1)
    few = {"shots": [1, 3], "episodes": 5, "queries": 3, "min_images": None}
    protocols = ["probe", "knn", "prototype", "few-shot", "label-efficiency", "retrieval"]
    return medimeta.bench(
        model, tasks="bus", protocols=protocols, data_dir=raw, out=out, partial=True, jobs=jobs, **few
    )


def contents(folder):
    """The bytes of all results; what an encoder costs is measured, and locks are empty."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "encoder.json" and ".locks" not in path.parts
    }


def test_killed_at_many_points_the_results_are_the_same_bytes(raw, model, tmp_path):
    started = time.perf_counter()
    done = run(model, raw, tmp_path / "whole")
    assert not done.failures
    share = (time.perf_counter() - started) / KILLS
    for bank in banks.banks():
        bank.delete()

    drawn, killed = random.Random(0), 0
    for _ in range(KILLS):
        process = multiprocessing.get_context("fork").Process(target=run, args=(model, raw, tmp_path / "killed"))
        process.start()
        time.sleep(2 * share * drawn.random())
        process.kill()
        process.join()
        killed += process.exitcode != 0
    assert killed > 0
    assert not run(model, raw, tmp_path / "killed").failures
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_two_processes_write_the_same_bytes_as_one(raw, model, tmp_path):
    one = run(model, raw, tmp_path / "one")
    for bank in banks.banks():
        bank.delete()
    two = run(model, raw, tmp_path / "two", jobs=2)

    assert not two.failures
    assert [result for _, result in two.results] == [result for _, result in one.results]
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
