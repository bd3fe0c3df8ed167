"""Checks around the commit of a push: its content on the Hub, and its tag."""

from __future__ import annotations

from ...errors import PushFailed, PushRefused, some
from ...files.remote.repository import Remote
from .plan import Plan, compare


def check_commit(remote: Remote, plan: Plan, commit: str) -> None:
    """Check that every file in a commit has the same hash as the local file.

    Raises:
        PushFailed: Naming the files that differ.
    """
    left = compare(plan.files, remote.state(commit), plan.datasets)
    if not left.empty:
        paths = [*left.added, *left.changed, *left.deleted]
        raise PushFailed(
            f"Commit {commit} of {remote.repo} differs from the local files: {some(paths)}. Rerun the command. If that "
            "does not help, look for a .gitignore in the repository that excludes files.",
            code="other-content",
        )


def is_tagged(remote: Remote, plan: Plan, tag: str | None) -> bool:
    """Whether a tag already names this release.

    Raises:
        PushRefused: If it names another one.
    """
    tagged = remote.tags().get(tag) if tag and plan.state.head else None
    if tagged is None:
        return False
    if not compare(plan.files, remote.state(tagged), plan.datasets).empty:
        raise PushRefused(
            f"The tag {tag} names another release, and tags do not move. Choose another tag.", code="tag-exists"
        )
    return True


def create_tag(remote: Remote, tag: str, commit: str) -> None:
    """Tag a commit.

    Raises:
        PushFailed: If the tag names another commit by now.
    """
    remote.tag(tag, commit)
    if remote.tags().get(tag) != commit:
        raise PushFailed(
            f"Published as {commit}, but somebody else has created the tag {tag} in the meantime. Choose another.",
            code="tag-exists",
        )
