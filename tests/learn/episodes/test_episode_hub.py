"""Episode sets on the Hub: published completely and once, read again, and every fault reported clearly."""

from __future__ import annotations

import re

import pytest

from fakes.episodes import KIND, random_toy
from fakes.errors import raises
from fakes.hub import READ_TOKEN, Fault, Hub
from fakes.publishing import (
    REPO,
    build_folder,
    in_another_process,
    in_this_process,
    other_client,
    publish,
    without_waiting,
)
from medimeta.builders.phantoms import write_miniature
from medimeta.cli import app as cli
from medimeta.errors import MedIMetaError, PushFailed, PushRefused, UnknownName
from medimeta.learn.episodes.episode_set import EpisodeSet
from medimeta.learn.episodes.recipe import Recipe
from medimeta.learn.episodes.sampler import sample_episodes

COMMIT = "POST .*/commit/"


PUSH = """
import sys
import medimeta
from datasets import load_dataset
rows = medimeta.load_dataset("bus", split="train", data_dir=sys.argv[1], partial=True)
drawn = medimeta.episodes("bus", shots=(1, 2), queries=1, n=3, split="train", data_dir=sys.argv[1], partial=True)
name = drawn.push("ns/medimeta")
assert name == drawn.push("ns/medimeta", name), name
again = medimeta.EpisodeSet.pull("ns/medimeta", name, rows)
plain = load_dataset("ns/medimeta", name)
assert again.sha256 == drawn.sha256 == plain["train"][0]["sha256"]
print(name, list(plain), plain["train"][2]["support"] == drawn[2].support.tolist())
"""
PULL = """
import medimeta
name = "episodes_bus_case_category_1-2shot"
rows = medimeta.load_dataset("bus", data_dir="ns/medimeta", split="train", partial=True)
drawn = medimeta.EpisodeSet.pull("ns/medimeta", name, rows)
print(len(drawn), len(rows), len(list(drawn.batches())))
"""


@pytest.mark.slow
def test_published_next_to_the_data(tmp_path, monkeypatch):
    without_waiting(monkeypatch, lfs=True)
    folder = build_folder(tmp_path, {"bus": 6})
    with Hub(tmp_path / "server") as hub, other_client():
        publish(hub, folder)
        shown = in_another_process(hub, tmp_path, PUSH, str(folder))
        assert shown == "episodes_bus_case_category_1-2shot ['train'] True\n"
        titles = [commit.title for commit in hub.repos[REPO].history()]
        assert len(titles) == 3  # the first, the release and the episodes; an equal push makes no commit
        assert titles[0].startswith("Publish episodes_bus_case_category_1-2shot: 3 episodes, SHA-256 ")
        kept = {path for path in hub.files(REPO) if path.startswith("episodes/")}
        assert kept == {"episodes/episodes_bus_case_category_1-2shot/train-00000-of-00001.parquet"}

        assert publish(hub, build_folder(tmp_path, {"bus": 6, "crc": 1})).made

        assert in_another_process(hub, tmp_path, PULL) == "3 12 3\n"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    without_waiting(monkeypatch, lfs=True)
    with Hub(tmp_path / "server") as server, other_client():
        in_this_process(monkeypatch, server)
        yield server


@pytest.fixture(scope="module")
def drawn():
    return sample_episodes(random_toy(KIND, 0), KIND, Recipe(2, 3), n=4, seed=1, split="train+test")


@pytest.mark.parametrize("name", ["bus", "a/b", "", "../x", "a b"])
def test_a_config_of_episodes_cannot_replace_a_dataset(hub, drawn, name):
    with pytest.raises(MedIMetaError, match=r"is a dataset|is not a valid name"):
        drawn.push(REPO, name)
    assert not hub.log


def test_pushed_and_pulled(hub, drawn):
    assert drawn.push(REPO) == "episodes_toy_kind_2shot"
    again = EpisodeSet.pull(REPO, "episodes_toy_kind_2shot", random_toy(KIND, 0))

    assert again.sha256 == drawn.sha256
    assert "episodes/episodes_toy_kind_2shot/train_test-00000-of-00001.parquet" in hub.files(REPO)
    with pytest.raises(UnknownName, match=r"config of ns/medimeta 'episodes_toy'. Did you mean 'episodes_toy_kind_2"):
        EpisodeSet.pull(REPO, "episodes_toy")
    with pytest.raises(MedIMetaError, match="These are not the rows"):
        EpisodeSet.pull(REPO, "episodes_toy_kind_2shot", random_toy(KIND, 1))
    hub.commit(REPO, {"episodes/episodes_toy_kind_2shot/train_test-00000-of-00001.parquet": b"PAR1 damaged PAR1"})
    with pytest.raises(MedIMetaError, match="episodes_toy_kind_2shot of ns/medimeta cannot be read"):
        EpisodeSet.pull(REPO, "episodes_toy_kind_2shot")


@pytest.mark.parametrize(
    "faults",
    [
        [Fault("status", times=3, status=503)],
        [Fault("reset", COMMIT, times=2), Fault("status", "preupload", times=2, status=429)],
        [Fault("lost", COMMIT)],
        [Fault("cut", "PUT ", times=2)],
    ],
    ids=["503 thrice", "reset and 429", "lost answer", "cut"],
)
def test_faults_that_pass_leave_one_commit(hub, drawn, faults):
    hub.create(REPO)
    hub.fail(*faults)

    drawn.push(REPO, "mine")

    assert sum(hub.injected[fault.kind] for fault in faults) == sum(fault.times for fault in faults)
    assert [commit.title[:12] for commit in hub.repos[REPO].history()] == ["Publish mine", "initial comm"]
    assert EpisodeSet.pull(REPO, "mine").sha256 == drawn.sha256


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (READ_TOKEN, "Use one with write access"),
        ("hf_" + "UnknownTokenOfNobody" * 2, "Log in with: hf auth login"),
        ("", "hf auth login"),
    ],
    ids=["read", "unknown", "none"],
)
def test_refusals_of_the_hub_are_reported_without_the_token(hub, drawn, monkeypatch, capfd, token, words):
    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: token or None)
    hub.create(REPO, private=True)

    def message_of(call):
        with pytest.raises(MedIMetaError) as caught:
            call()
        assert caught.value.__cause__ is None
        return str(caught.value)

    shown = [message_of(lambda: drawn.push(REPO))]
    assert words in shown[0]
    hub.fail(Fault("status", times=10_000, status=500))  # its message repeats the token
    shown += [message_of(lambda: drawn.push(REPO)), message_of(lambda: EpisodeSet.pull(REPO, "mine"))]
    shown += capfd.readouterr()
    assert not token or not any(token in text for text in shown)
    assert "mine of ns/medimeta cannot be read" in shown[2]
    assert [commit.title for commit in hub.repos[REPO].history()] == ["initial commit"]


def test_a_repository_that_is_not_there(hub):
    with pytest.raises(MedIMetaError, match=r"mine of ns/other cannot be read\. .*ns/other.*Check the name"):
        EpisodeSet.pull("ns/other", "mine")
    with pytest.raises(MedIMetaError, match=r"mine of ns/.. cannot be read"):
        EpisodeSet.pull("ns/..", "mine")


def test_private_is_kept(hub, drawn):
    with raises(PushRefused, "invalid-repository"):
        drawn.push("medimeta")
    drawn.push(REPO, "mine", private=True)
    assert hub.repos[REPO].private
    drawn.push(REPO, "again", private=True)
    hub.create("ns/public")
    with raises(PushRefused, "repository-is-public", "ns/public"):
        drawn.push("ns/public", private=True)
    hub.fail(Fault("status", COMMIT, times=10_000, status=400))
    with raises(PushFailed, "rejected-by-hub"):
        drawn.push("ns/public")


def test_the_command(hub, tmp_path, monkeypatch, capsys):
    raw = write_miniature("crc", tmp_path / "raw", per_class=6)

    def command(*arguments):
        common = ["--data-dir", str(raw), "--partial", "--split", "train", "--shots", "1", "--queries", "1", "-n", "2"]
        with pytest.raises(SystemExit) as ended:
            cli.main(["episodes", "crc", *common, *map(str, arguments)])
        shown = capsys.readouterr()
        assert hub.token not in shown.out + shown.err
        return ended.value.code, shown.out or shown.err

    code, shown = command("--push", REPO, "--private", "--out", tmp_path / "e.parquet")
    assert code == 0, shown
    name = "episodes_crc_tissue_class_1shot"
    assert shown.splitlines()[-1] == f"Published. Read it with: medimeta.EpisodeSet.pull('{REPO}', '{name}')"
    assert hub.repos[REPO].private
    sha256 = re.search("SHA-256 ([0-9a-f]{64})", shown)[1]
    assert sha256 == EpisodeSet.load(tmp_path / "e.parquet").sha256 == EpisodeSet.pull(REPO, name).sha256
    code, shown = command("--push", REPO, "--name", "mine", "--seed", 1)
    assert code == 0, shown
    assert EpisodeSet.pull(REPO, "mine").seed == 1

    for arguments, words in (
        ([], "--out FILE, --push REPO, or both"),
        (["--private"], "--out FILE"),
        (["--out", "e", "--private"], "--name and --private need --push"),
    ):
        code, shown = command(*arguments)
        assert code == 2
        assert words in " ".join(shown.replace("│", " ").split())
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    monkeypatch.setattr(
        "medimeta.learn.episodes.drawing.episodes", lambda *_, **__: pytest.fail("drawn before the login was checked")
    )
    code, shown = command("--push", REPO)
    assert code == 1
    assert "hf auth login" in shown
