"""Feature banks on the Hub: published once, found by what they are of, and refused where terms forbid it."""

from __future__ import annotations

import logging
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

import medimeta
from fakes.hub import Fault, Hub
from fakes.publishing import in_this_process, other_client, without_waiting
from medimeta.builders.phantoms import write_miniature
from medimeta.cli.app import main
from medimeta.errors import MedIMetaError, PushRefused
from medimeta.learn.encoders.feature_banks import published
from medimeta.learn.encoders.feature_banks.banks import banks, folder
from medimeta.learn.encoders.features import features_of

REPO = "ns/features"
FORM = {"size": 16, "mean": (0.5,) * 3, "std": (0.5,) * 3}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    without_waiting(monkeypatch, lfs=True)
    with Hub(tmp_path / "server") as server, other_client():
        in_this_process(monkeypatch, server)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
        yield server


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return {name: write_miniature(name, tmp_path_factory.mktemp(name), per_class=4) for name in ("bus", "skinl_derm")}


def encoder(sha256="0" * 64):
    seen = []

    def pixels(values):
        seen.append(len(values))
        return values.flatten(1)[:, ::16].contiguous()

    made = medimeta.encoder(pixels, name="pixels", sha256=sha256, **FORM)
    seen.clear()
    return made, seen


def rows_of(raw, dataset="bus"):
    return medimeta.load_dataset(dataset, split="train", data_dir=raw[dataset], partial=True)


def test_published_features_are_found_and_not_computed_again(hub, raw, monkeypatch, caplog):
    rows = rows_of(raw)
    vectors = np.array(features_of(encoder()[0], rows, "bus", "train"))
    (bank,) = banks()
    new = published.push(banks(), REPO)
    assert published.push(banks(), REPO) == []
    assert new == ["README.md", f"bus/train/{bank.path.name}.json", f"bus/train/{bank.path.name}.parquet"]
    card = hub.files(REPO)["README.md"].decode()
    assert "Features can identify people" in card
    assert medimeta.DATASETS["bus"].sources[0].licence_text in card
    (path,) = [path for path in hub.files(REPO) if path.endswith(".parquet")]
    table = pq.read_table(__import__("io").BytesIO(hub.files(REPO)[path]))
    assert table["index"].to_pylist() == list(rows["index"])
    np.testing.assert_array_equal(np.stack(table["features"].to_pylist()), vectors)

    shutil.rmtree(folder())
    chosen, seen = encoder()
    again = features_of(chosen, rows, "bus", "train", repo=REPO)
    np.testing.assert_array_equal(again, vectors)
    assert not seen
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "medimeta"):
        patch.setattr("medimeta.learn.encoders.feature_banks.identity.version", lambda name: "0")
        np.testing.assert_array_equal(features_of(chosen, rows, "bus", "train", repo=REPO), vectors)
    assert not seen
    assert "other versions" in caplog.text
    other, seen = encoder("1" * 64)
    assert len(features_of(other, rows, "bus", "train", repo=REPO)) == sum(seen)


def test_terms_that_forbid_redistribution_are_kept(hub, raw):
    features_of(encoder()[0], rows_of(raw, "skinl_derm"), "skinl_derm", "train")
    with pytest.raises(PushRefused) as refused:
        published.push(banks(), REPO)
    assert refused.value.code == "no-redistribution"
    assert REPO not in hub.repos
    assert published.push(banks(), REPO, private=True)
    assert published.push(banks(), "ns/permitted", permissions=["skinl_derm"])


def test_publishing_without_features_or_repository_is_a_clear_error(hub, raw):
    with pytest.raises(PushRefused) as refused:
        published.push(banks(), REPO)
    assert refused.value.code == "no-features"
    with pytest.raises(MedIMetaError) as refused:
        features_of(encoder()[0], rows_of(raw), "bus", "train", repo="ns/nothing-here")
    assert refused.value.code == "features-not-found"
    assert "\n" not in str(refused.value)


def test_damaged_features_are_refused(hub, raw):
    features_of(encoder()[0], rows_of(raw), "bus", "train")
    published.push(banks(), REPO)
    shutil.rmtree(folder())
    (path,) = [path for path in hub.files(REPO) if path.endswith(".json")]
    hub.commit(REPO, {path: hub.files(REPO)[path].replace(b'"sha256": "', b'"sha256": "0')})
    with pytest.raises(MedIMetaError) as refused:
        features_of(encoder()[0], rows_of(raw), "bus", "train", repo=REPO)
    assert refused.value.code == "bank-damaged"


def test_faults_that_pass_leave_one_commit(hub, raw):
    features_of(encoder()[0], rows_of(raw), "bus", "train")
    hub.create(REPO)
    hub.fail(Fault("status", times=2, status=503), Fault("reset", "POST .*/commit/"))
    assert published.push(banks(), REPO)
    assert len(list(hub.repos[REPO].history())) == 2


def test_the_command_publishes(hub, raw, capsys):
    features_of(encoder()[0], rows_of(raw), "bus", "train")
    for words in (["--dry-run"], ["--encoder", "pixels"], []):
        with pytest.raises(SystemExit) as ended:
            main(["features", "push", REPO, *words])
        assert ended.value.code in (0, None)
    shown = capsys.readouterr().out
    assert "bus train, pixels" in shown
    assert "on the Hub already" in shown
