"""Tags, branches, pull requests, and repositories that are private or gated."""

from __future__ import annotations

import pytest

from fakes.hub import Fault
from fakes.publishing import (
    REPO,
    change_a_row,
    holds,
    publish,
)
from medimeta.errors import PushFailed, PushRefused


def titles(hub):
    return [commit.title for commit in hub.repos[REPO].history()]


def test_a_tag_names_one_release(lfs_hub, folder):
    first = publish(lfs_hub, folder, tag="v1.0.0")
    assert lfs_hub.repos[REPO].tags == {"v1.0.0": first.commit}
    assert publish(lfs_hub, folder, tag="v1.0.0").commit == first.commit
    change_a_row(folder)
    sent = lfs_hub.received
    with pytest.raises(PushRefused, match=r"v1\.0\.0 names another release"):
        publish(lfs_hub, folder, tag="v1.0.0")
    assert lfs_hub.received == sent

    second = publish(lfs_hub, folder, tag="v1.1.0")

    assert lfs_hub.repos[REPO].tags == {"v1.0.0": first.commit, "v1.1.0": second.commit}
    assert titles(lfs_hub)[0] == "Release v1.1.0: bus, crc, pneumonia"


def test_a_killed_push_leaves_the_tag_to_the_next(lfs_hub, folder):
    lfs_hub.fail(Fault("status", "POST .*/tag/", times=99, status=403))
    with pytest.raises(PushFailed):
        publish(lfs_hub, folder, tag="v1")
    lfs_hub.fail()

    done = publish(lfs_hub, folder, tag="v1")

    assert not done.made
    assert lfs_hub.repos[REPO].tags == {"v1": done.commit}
    assert len(titles(lfs_hub)) == 2


def test_a_branch_is_made_and_main_stays(lfs_hub, folder):
    publish(lfs_hub, folder)
    main = lfs_hub.repos[REPO].heads["main"]
    change_a_row(folder)

    for _ in range(2):
        publish(lfs_hub, folder, revision="next")

    repo = lfs_hub.repos[REPO]
    assert repo.heads["main"] == main
    assert repo.resolve("next").parent == main
    assert holds(lfs_hub, folder, "next")


def test_a_pull_request_is_opened_once(hub, folder):
    publish(hub, folder)
    main = hub.repos[REPO].heads["main"]
    change_a_row(folder)

    first = publish(hub, folder, create_pr=True)
    again = publish(hub, folder, create_pr=True)

    repo = hub.repos[REPO]
    assert (first.revision, first.made, again.made) == ("refs/pr/1", True, False)
    assert [(one["title"], one["status"]) for one in repo.discussions] == [("Release bus, crc, pneumonia", "open")]
    assert repo.heads["main"] == main
    assert repo.resolve("refs/pr/1").parent == main
    assert holds(hub, folder, "refs/pr/1")


def test_private_and_gated_before_anything_is_in_it(lfs_hub, small):
    seen = []

    def look():
        seen.append((lfs_hub.repos[REPO].private, lfs_hub.repos[REPO].gated))

    lfs_hub.fail(Fault("meanwhile", "POST .*/commit/", act=look))
    publish(lfs_hub, small, private=True, gated="manual", partial=False)

    assert seen == [(True, "manual")]
    publish(lfs_hub, small, gated="auto")
    assert lfs_hub.repos[REPO].gated == "auto"
    assert len(titles(lfs_hub)) == 2
