"""Pushes that are refused: before anything is sent, for what is on the Hub, and without showing a token."""

from __future__ import annotations

import pytest
from huggingface_hub import HfApi

from fakes.errors import raises
from fakes.hub import READ_TOKEN, Fault
from fakes.parquet import edit, set_values
from fakes.publishing import (
    REPO,
    change_a_row,
    holds,
    publish,
    shard_of,
    without_waiting,
)
from medimeta.errors import MedIMetaError, PushFailed, PushRefused, SourceBroken, UnknownName
from medimeta.upload.folder.writing import NotAHubFolder
from medimeta.upload.push.options import PushOptions
from medimeta.upload.push.publish import push


def remove_record(folder):
    (folder / "records" / "bus" / "build.json").unlink()


def remove_card(folder):
    (folder / "README.md").unlink()


def remove_shards(folder):
    for path in (folder / "bus").glob("*.parquet"):
        path.unlink()


def tear_shards(folder):
    shard_of(folder, split="test").rename(folder / "bus" / "test-00000-of-00002.parquet")


def unnamed_label(folder):
    set_values(shard_of(folder), 0, malignancy=7)


def picture_outside(folder):
    set_values(shard_of(folder), 0, image={"bytes": None, "path": "/home/me/a.png"})


def no_rows(folder):
    edit(shard_of(folder, split="test"), lambda rows: rows.clear())


@pytest.mark.parametrize(
    ("damage", "options", "error", "words"),
    [
        (None, {"partial": False}, PushRefused, r"Incomplete: bus \(9 of 780 images\).*--partial"),
        (None, {"only": ("pbc",)}, UnknownName, r"Unknown dataset in .*'pbc'.*bus, crc, pneumonia"),
        (None, {"remove": ("bus",)}, PushRefused, "--only"),
        (None, {"remove": ("bsu",)}, UnknownName, "Did you mean 'bus'"),
        (None, {"gated": "yes"}, PushRefused, "auto, manual"),
        (None, {"create_pr": True, "revision": "next"}, PushRefused, "--revision or --create-pr"),
        (None, {"create_pr": True, "tag": "v1"}, PushRefused, "Merge it, then push with --tag"),
        (None, {"create_pr": True}, PushRefused, "--create-pr"),
        (remove_record, {}, PushRefused, r"bus lacks its build\.json. Build it again, or leave it out with --only"),
        (remove_card, {}, PushRefused, r"has no README\.md.*medimeta card"),
        (remove_shards, {}, PushRefused, "bus lacks its shards"),
        (tear_shards, {}, SourceBroken, "incomplete set of test shards"),
        (
            unnamed_label,
            {},
            PushRefused,
            r"bus: error: labels: 1 row\(s\) have a label without a name(.|\n)*Nothing was",
        ),
        (picture_outside, {}, PushRefused, r"bus: error: embedded: 1 row\(s\) have a picture outside the file"),
        (no_rows, {}, PushRefused, "viewer: empty split: .*0 rows"),
        (lambda f: (f / "medimeta.py").touch(), {}, PushRefused, r"holds medimeta\.py.*would fail.*Delete it"),
    ],
)
def test_refused_before_anything_is_sent(lfs_hub, folder, damage, options, error, words):
    if damage:
        damage(folder)

    with pytest.raises(error, match=words):
        publish(lfs_hub, folder, **options)

    assert not lfs_hub.repos


ON_THE_HUB = [
    ({"medimeta.py": b""}, {}, r"repository ns/medimeta holds medimeta\.py.*Delete it"),
    ({"bus/train-extra.parquet": b""}, {}, r"holds bus/train-extra\.parquet.*read as rows.*Delete or rename"),
    ({"crc/test-x.parquet": b""}, {"only": ("bus",)}, r"holds crc/test-x\.parquet"),
    ({"records/crc/card.json": None}, {"only": ("bus",)}, r"crc/card\.json.*--remove crc"),
    ({"records/crc/card.json": b"{}"}, {"only": ("bus",)}, r"card\.json of crc .* of another version.*--remove crc"),
    ({}, {"private": True}, "--private"),
    ({"README.md": b"---\nconfigs: [\n---\n"}, {}, "--overwrite-card"),
    ({"README.md": b"---\ndate: 2024-13-45\n---\n"}, {}, "--overwrite-card"),
    ({"README.md": b"# A card without YAML"}, {}, "--overwrite-card"),
]


def test_refused_for_what_is_on_the_hub(lfs_hub, folder):
    publish(lfs_hub, folder)
    first = lfs_hub.repos[REPO].heads["main"]
    change_a_row(folder)
    for files, options, words in ON_THE_HUB:
        lfs_hub.repos[REPO].heads["main"] = first
        head, received = lfs_hub.commit(REPO, files).oid, lfs_hub.received

        with pytest.raises(MedIMetaError, match=words):
            publish(lfs_hub, folder, **options)

        assert lfs_hub.repos[REPO].heads["main"] == head
        assert lfs_hub.received == received


def test_a_dry_run_does_not_wait_long_for_a_hub_that_does_not_answer(small, monkeypatch):
    waits = without_waiting(monkeypatch, lfs=True)
    api = HfApi("http://127.0.0.1:9", token="hf_x")

    with pytest.raises(PushFailed):
        push(small, REPO, PushOptions(partial=True, dry_run=True), version="0", api=api)

    assert sum(waits) < 10


def test_a_card_that_cannot_be_read_is_replaced_when_told(lfs_hub, folder):
    publish(lfs_hub, folder)
    lfs_hub.commit(REPO, {"README.md": b"---\nconfigs: [\n---\n"})

    publish(lfs_hub, folder, overwrite_card=True)

    assert holds(lfs_hub, folder)


def test_a_folder_without_datasets_and_a_name_without_owner(tmp_path, small, lfs_hub):
    with pytest.raises(NotAHubFolder, match="medimeta build"):
        publish(lfs_hub, tmp_path)
    with raises(PushRefused, "invalid-repository", "'medimeta'"):
        push(small, "medimeta", version="0")


@pytest.mark.slow
def test_a_folder_that_changes_while_it_is_sent(lfs_hub, folder):
    publish(lfs_hub, folder)
    old = lfs_hub.files(REPO)
    change_a_row(folder)
    lfs_hub.fail(Fault("meanwhile", "POST .*/preupload/", act=lambda: set_values(shard_of(folder), 1, subject_id="x")))

    with pytest.raises(PushFailed, match=r"train-00000-of-00001\.parquet"):
        publish(lfs_hub, folder)

    assert lfs_hub.files(REPO) == old


@pytest.mark.parametrize(
    ("token", "words"),
    [(READ_TOKEN, "write access"), ("hf_" + "UnknownTokenOfNobody" * 2, "Log in with: hf auth login")],
)
def test_no_message_holds_a_token(lfs_hub, small, monkeypatch, capfd, token, words):
    api = HfApi(lfs_hub.url, token)
    with pytest.raises(PushFailed, match=words) as caught:
        push(small, REPO, PushOptions(partial=True), version="0", api=api)
    lfs_hub.fail(Fault("status", times=10_000, status=500))  # its message repeats the token
    with pytest.raises(PushFailed, match=r"rerun the command") as again:
        push(small, REPO, PushOptions(partial=True), version="0", api=api)

    shown = [str(caught.value), repr(caught.value), str(again.value), repr(again.value), *capfd.readouterr()]
    assert not any(token in text for text in shown)
    assert "hf_..." in str(again.value)
    assert caught.value.__cause__ is None
