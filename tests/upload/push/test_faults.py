"""Publishing through faults: the branch holds the old release or the new one, whole, and each release is one commit."""

from __future__ import annotations

import copy
import random
import shutil
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import HfApi, file_download

from fakes.hub import Fault, Hub
from fakes.processes.killed import push_pieces, start
from fakes.publishing import PARTIAL, REPO, TRANSPORTS, build_folder, holds, other_client, publish, without_waiting
from fakes.tiers import quick
from medimeta.builders import rows
from medimeta.builders.locate import open_source
from medimeta.errors import PushFailed
from medimeta.files.remote.retry import FAILURES, TRIES
from medimeta.upload.folder import shards
from medimeta.upload.folder.writing import build

FOREIGN = {"notes.txt": b"mine", "mydata/train-00000-of-00001.parquet": b"mine too"}
API = "/api/datasets/ns/medimeta"
COMMIT = f"POST {API}/commit/main"
STEPS = (
    f"GET {API}/revision/main",
    f"GET {API}/tree/",
    r"GET /datasets/ns/medimeta/resolve/.*/crc/card\.json",
    f"POST {API}/preupload/",
    f"GET {API}/xet-write-token",
    r"POST /datasets/ns/medimeta\.git/info/lfs/objects/batch",
    "PUT /lfs/whole/",
    "PUT /lfs/part/",
    "POST /lfs/joined/",
    "POST /lfs/verify",
    "POST /api/validate-yaml",
    COMMIT,
    f"GET {API}/revision/[0-9a-f]",
    f"POST {API}/tag/",
    f"GET {API}/refs",
)
STATUSES = (408, 429, 500, 502, 503, 504)


RECORD = "records/bus/build.json"


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """The old release (bus, crc), a new one of bus, and what the repository holds after it."""
    home = tmp_path_factory.mktemp("faults")
    old = build_folder(home, {"bus": 3, "crc": 1}, name="old")
    new = build_folder(home, {"bus": 4}, seed=1, name="new")
    shutil.copytree(old, home / "both")  # not built again: old versions of libtiff pad crc's files at random
    return old, new, build_folder(home, {"bus": 4}, seed=1, name="both")


@pytest.fixture(scope="module")
def published(releases, tmp_path_factory):
    """A Hub that holds the old release, and files of someone else."""
    with pytest.MonkeyPatch.context() as patch, Hub(tmp_path_factory.mktemp("template")) as hub, other_client():
        without_waiting(patch, lfs=True)
        publish(hub, releases[0])
        hub.commit(REPO, FOREIGN)
    return hub


@pytest.fixture(scope="module")
def sixty_shards(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD_BYTES", 1)
        patch.setattr(rows, "BATCH", 2)
        folder = build_folder(tmp_path_factory.mktemp("sixty"), {"crc": 14})
    assert len(list(folder.glob("crc/*.parquet"))) >= 60
    return folder


def copied(published, root):
    """Another Hub in the same state."""
    hub, repo = Hub(root, part_bytes=60_000), copy.copy(published.repos[REPO])
    repo.commits, repo.heads, repo.tags = dict(repo.commits), dict(repo.heads), dict(repo.tags)
    repo.lock = threading.RLock()
    hub.blobs, hub.repos[REPO] = dict(published.blobs), repo
    return hub


@pytest.fixture(params=TRANSPORTS)
def transport(request, monkeypatch):
    """The client's way to send files, and what it waited for."""
    with other_client():
        yield request.param, without_waiting(monkeypatch, lfs=request.param == "lfs")


@pytest.fixture
def hub(published, transport, tmp_path):
    with copied(published, tmp_path / "server") as server:
        yield server


def commits(hub, published):
    """How many were made since."""
    return len(list(hub.repos[REPO].history())) - len(list(published.repos[REPO].history()))


def is_new(hub, releases, more=None):
    return holds(hub, releases[2], foreign=FOREIGN | (more or {}))


def is_old(hub, releases):
    return holds(hub, releases[0], foreign=FOREIGN)


@pytest.mark.parametrize("kind", quick(429, "cut", of=[429, 503, "reset", "cut", "lost", "truncate"]))
def test_every_step_fails_twice(hub, releases, published, kind):
    fault = (
        {"kind": "status", "status": kind, "headers": {"Retry-After": "3"}} if isinstance(kind, int) else {"kind": kind}
    )
    hub.fail(*(Fault(**fault, where=step, times=2) for step in STEPS if kind != "cut" or step[0] == "P"))

    publish(hub, releases[1], tag="v2")

    assert hub.injected.total() - hub.injected["none"] >= 8
    assert is_new(hub, releases)
    assert commits(hub, published) == 1
    assert hub.repos[REPO].tags == {"v2": hub.repos[REPO].heads["main"]}


@pytest.mark.slow
def test_two_hundred_faults_at_random(transport, releases, published, tmp_path):
    """Each request fails with some chance, in some way; at least a hundred do with either transport."""
    total, given_up = Counter(), 0
    for seed in range(100):
        rng = random.Random(seed)

        def trouble(request, rng=rng):
            kinds = ["status", "reset", "lost", "cut" if request[0] == "P" else "truncate"]
            kinds += ["late"] * ("/commit/" in request) + ["corrupt"] * ("card.json" in request)
            statuses = [*STATUSES, *([409, 412] if "/commit/" in request else [])]
            return Fault(rng.choice(kinds), status=rng.choice(statuses)) if rng.random() < 0.4 else None

        with copied(published, tmp_path / str(seed)) as hub:
            hub.trouble, done = trouble, False
            while not done:
                try:
                    done = publish(hub, releases[1])
                except PushFailed:  # eight times in a row; then it is the user who tries again
                    given_up += 1
                    assert is_old(hub, releases) or is_new(hub, releases)
            hub.fail()
            assert is_new(hub, releases)
            assert commits(hub, published) == 1
        total += hub.injected
        if total.total() - total["none"] >= 100:
            break
    assert total.total() - total["none"] >= 100
    assert given_up <= 2


@pytest.mark.parametrize(
    "faults",
    [
        [Fault("status", COMMIT, status=412)],
        [Fault("status", COMMIT, status=409, times=3)],
        [Fault("lost", COMMIT)],
        [Fault("late", COMMIT)],
        [Fault("late", COMMIT), Fault("late", COMMIT, after=1)],
        [Fault("status", COMMIT), Fault("cut", COMMIT, after=1), Fault("lost", COMMIT, after=2)],
        [Fault("lost", COMMIT), Fault("status", f"GET {API}/commits/", times=3)],
    ],
    ids=["412", "409 thrice", "lost", "late", "late twice", "503, cut, lost", "lost, then 503"],
)
def test_a_commit_is_never_made_twice(hub, releases, published, faults):
    hub.fail(*faults)

    pushed = publish(hub, releases[1])

    assert is_new(hub, releases)
    time.sleep(0.1)  # for what comes late
    assert commits(hub, published) == 1
    assert pushed.commit == hub.repos[REPO].heads["main"]


@pytest.mark.parametrize("step", [f"POST {API}/preupload/", "POST /api/validate-yaml", COMMIT])
def test_someone_else_commits_meanwhile(hub, releases, published, step):
    others = {"theirs.txt": b"theirs", "notes.txt": None}
    hub.fail(Fault("meanwhile", step, act=lambda: hub.commit(REPO, others)))

    size = publish(hub, releases[1]).plan.bytes

    left = {path: data for path, data in (FOREIGN | others).items() if data is not None}
    assert holds(hub, releases[2], foreign=left)
    assert commits(hub, published) == 2
    assert hub.sent < 1.5 * size  # nothing was sent twice


def test_someone_commits_after_a_commit_whose_answer_was_lost(hub, releases, published):
    """The release landed, but is not the newest commit: nothing more is to be done, least of all undo theirs."""
    hub.fail(
        Fault("lost", COMMIT),
        Fault("meanwhile", f"GET {API}/commits/", act=lambda: hub.commit(REPO, {RECORD: b"their edit"})),
    )

    pushed = publish(hub, releases[1])

    assert commits(hub, published) == 2
    assert hub.repos[REPO].resolve("main").parent == pushed.commit
    assert hub.files(REPO)[RECORD] == b"their edit"


@pytest.mark.parametrize("kind", ["corrupt", "truncate", "reset"])
def test_what_the_others_say_arrives_damaged(hub, releases, published, kind):
    hub.fail(Fault(kind, r"/crc/card\.json", times=TRIES - 1))

    publish(hub, releases[1])

    assert hub.injected[kind] == TRIES - 1
    assert is_new(hub, releases)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", times=10_000),
        Fault("reset", times=10_000),
        Fault("status", f"POST {API}/preupload/", times=10_000),
        Fault("cut", "PUT|xet-write-token", times=10_000),
        Fault("status", COMMIT, times=10_000),
        Fault("status", COMMIT, times=10_000, status=400),
        Fault("corrupt", r"/crc/card\.json", times=10_000),
    ],
    ids=["down", "unreachable", "no modes", "no way to send", "no commits", "not accepted", "always damaged"],
)
def test_giving_up_leaves_the_old_release_and_the_next_push_continues(hub, releases, published, fault):
    hub.fail(fault)
    with pytest.raises(PushFailed, match=r"rerun the command|medimeta verify"):
        publish(hub, releases[1])
    assert is_old(hub, releases)
    hub.fail()

    publish(hub, releases[1])

    assert is_new(hub, releases)
    assert commits(hub, published) == 1


def test_the_hub_says_how_long_to_wait(hub, transport, releases):
    _, waits = transport
    hub.fail(
        Fault("status", COMMIT, status=429, headers={"Retry-After": "77"}),
        Fault("status", COMMIT, after=1, status=429, headers={"RateLimit": '"api";r=0;t=55'}),
        Fault("status", COMMIT, after=2, status=429, headers={"Retry-After": "86400"}),
        Fault("status", COMMIT, after=3),
    )

    publish(hub, releases[1])

    assert [wait for wait in waits if wait > 4] == [77, 56, 330, 8]
    assert is_new(hub, releases)


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["lfs"], indirect=True)  # which of them wins does not depend on it
def test_two_pushes_at_once(hub, releases, published, tmp_path):
    """Both end, and the later one's release is whole; of the same release there is one commit."""
    other = build_folder(tmp_path, {"bus": 5, "crc": 2}, seed=2, name="other")
    for first, second, made in ((releases[0], other, 2), (releases[1], releases[1], 1)):
        start, before = threading.Barrier(2), commits(hub, published)
        hub.fail(Fault("meanwhile", COMMIT, times=2, act=lambda start=start: start.wait(20)))
        changed = build_folder(tmp_path, {"bus": 6}, seed=3, name="changed") if first == releases[0] else first

        with ThreadPoolExecutor(2) as executor:
            done = list(executor.map(lambda folder: publish(hub, folder), (changed, second)))

        assert commits(hub, published) - before == made
        last = hub.repos[REPO].heads["main"]
        assert last in {pushed.commit for pushed in done}
        if first == releases[0]:
            if done[0].commit == last:  # from the same archives: old versions of Pillow pad TIFF files at random
                build(open_source("crc", tmp_path / "other-crc", PARTIAL), changed, version="0")
            assert holds(hub, other if done[1].commit == last else changed, foreign=FOREIGN)
        else:
            assert not publish(hub, releases[1]).made


@pytest.mark.slow
def test_downloads_through_faults(published, tmp_path, monkeypatch):
    """Torn downloads continue, at the latest in the next call; damage is found by asking for the hashes."""
    without_waiting(monkeypatch, lfs=True)
    monkeypatch.setattr(file_download, "time", SimpleNamespace(sleep=lambda seconds: None))
    whole = published.files(REPO)
    with copied(published, tmp_path / "server") as hub, other_client():
        api = HfApi(hub.url, hub.token)

        def download(place):
            for _ in range(2 * len(whole)):
                with suppress(*FAILURES):
                    return Path(
                        api.snapshot_download(REPO, repo_type="dataset", local_dir=place, cache_dir=place / "c")
                    )
            return None

        for kind in ("truncate", "reset", "status", "lost"):
            hub.fail(*(Fault(kind, f"GET .*/resolve/.*/{path}", times=2) for path in whole))
            place = download(tmp_path / kind)
            assert {path: (place / path).read_bytes() for path in whole} == whole
        assert hub.injected.total() - hub.injected["none"] == 8 * len(whole)
        if hasattr(api, "verify_repo_checksums"):  # since version 1
            hub.fail(Fault("corrupt", "GET .*/bus/train-00000"))
            found = api.verify_repo_checksums(REPO, repo_type="dataset", local_dir=download(tmp_path / "damaged"))
            assert [mismatch["path"] for mismatch in found.mismatches] == ["bus/train-00000-of-00001.parquet"]


@pytest.mark.slow
def test_killed_again_and_again_nothing_is_sent_twice(transport, sixty_shards, tmp_path):
    """Twenty SIGKILLs: before, amid or after a file (LFS), between two files (Xet). The next run continues."""
    lfs, rng, running, kills = transport[0] == "lfs", random.Random(0), [], 20

    def run():
        running.append(start(push_pieces, hub.url, hub.token, sixty_shards, lfs))
        return running[-1]

    with Hub(tmp_path / "server") as hub:
        for _ in range(kills):
            # Of the files that are still to be sent; or, with Xet, of all: each run asks for a token per file.
            where, files = ("PUT ", 5) if lfs else ("xet-write-token", 60)
            kind = rng.choice(["meanwhile", "cut", "lost"]) if lfs else "meanwhile"
            hub.fail(Fault(kind, where, after=rng.randrange(files), act=lambda: running[-1].kill()))
            run().join()
            assert running[-1].exitcode == -signal.SIGKILL
            assert REPO not in hub.repos or len(hub.repos[REPO].commits) == 1
        hub.fail()
        run().join()

        assert running[-1].exitcode == 0
        assert holds(hub, sixty_shards)
        assert len(hub.repos[REPO].commits) == 2
        sizes = [path.stat().st_size for path in sixty_shards.rglob("*") if path.is_file()]
        assert hub.sent <= 1.1 * sum(sizes) + kills * max(sizes)
