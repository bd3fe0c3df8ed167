"""A dataset repository on the Hub: its state, and the operations that a push needs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, hf_hub_url
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status  # type: ignore[attr-defined]

from .network import TRIES
from .retry import patiently

Result = TypeVar("Result")

MAIN = "main"
BATCH_BYTES = 100_000_000  # per upload request; a killed push loses at most this much, or one larger file
BATCH_FILES = 64


@dataclass(frozen=True)
class Stored:
    """A file on the Hub.

    Attributes:
        size: In bytes.
        sha256: Of its content; None for small text files that are stored in git.
        oid: Git's object id of the stored blob: the content, or a pointer to it.
    """

    size: int
    sha256: str | None
    oid: str

    def holds(self, data: bytes) -> bool:
        """Whether the content of the file equals `data`."""
        if self.sha256 is not None:
            return hashlib.sha256(data).hexdigest() == self.sha256
        header = f"blob {len(data)}\0".encode()
        return hashlib.sha1(header + data, usedforsecurity=False).hexdigest() == self.oid


@dataclass(frozen=True)
class State:
    """A repository at one commit.

    Attributes:
        head: The commit; None if the repository does not exist.
        files: Its files by path.
        private: Whether it is private; None if the repository does not exist.
        gated: Whether readers must ask for access.
        has_branch: Whether the branch exists; if not, the files are those of `main`, where it would branch off.
    """

    head: str | None = None
    files: Mapping[str, Stored] = field(default_factory=dict)
    private: bool | None = None
    gated: str | bool = False
    has_branch: bool = False


@dataclass(frozen=True)
class Remote:
    """A dataset repository.

    Attributes:
        repo: Name, "<namespace>/<name>".
        revision: Branch or pull request (`refs/pr/1`) to read from and commit to.
        api: The Hub's client, which finds endpoint and token.
        tries: Most attempts of a request.
    """

    repo: str
    revision: str = MAIN
    api: HfApi = field(default_factory=HfApi)
    tries: int = TRIES

    def state(self, revision: str | None = None) -> State:
        """Return the state of the repository at its revision, or at another one."""
        known = (RepositoryNotFoundError, RevisionNotFoundError)
        try:
            info = self._call(self.api.repo_info, known, revision=revision or self.revision)
            has_branch = True
        except RepositoryNotFoundError:
            return State()
        except RevisionNotFoundError:
            info = self._call(self.api.repo_info, revision=MAIN)
            has_branch = False
        files = {
            item.path: Stored(item.size, item.lfs.sha256 if item.lfs else None, item.blob_id)
            for item in self._call(self._tree, revision=info.sha)
            if isinstance(item, RepoFile)
        }
        return State(info.sha, files, bool(info.private), info.gated or False, has_branch)

    def read(self, path: str, state: State) -> bytes:
        """Return the content of a small file, verified against its hash on the Hub."""
        url = hf_hub_url(self.repo, path, repo_type="dataset", revision=state.head, endpoint=self.api.endpoint)

        def get() -> bytes:
            response = get_session().get(url, headers=build_hf_headers(token=self.api.token))
            hf_raise_for_status(response)
            data: bytes = response.content
            if not state.files[path].holds(data):
                raise ConnectionError(f"{path} arrived damaged.")
            return data

        return patiently(get, tries=self.tries)

    def create(self, *, private: bool) -> None:
        """Create the repository unless it exists."""
        wanted = private or None  # None: the default of the owner
        patiently(lambda: self.api.create_repo(self.repo, repo_type="dataset", private=wanted, exist_ok=True))

    def create_branch(self) -> None:
        """Create the branch from `main` unless it exists."""
        self._call(self.api.create_branch, branch=self.revision, revision=MAIN, exist_ok=True)

    def gate(self, mode: str) -> None:
        """Require readers to ask for access, granted automatically ("auto") or by the owner ("manual")."""
        self._call(self.api.update_repo_settings, gated=mode)

    def pull_request(self, title: str, description: str) -> Remote:
        """Return the user's open pull request with this title, or open one."""

        def find_or_open() -> int:
            user = self.api.whoami()["name"]
            for one in self.api.get_repo_discussions(self.repo, repo_type="dataset", discussion_type="pull_request"):
                if (one.title, one.author) == (title, user) and one.status in ("draft", "open"):
                    return one.num
            made = self.api.create_pull_request(self.repo, title, repo_type="dataset", description=description)
            return made.num

        return replace(self, revision=f"refs/pr/{patiently(find_or_open)}")

    def publish_pull_request(self) -> None:
        """Open the pull request if it is a draft."""
        number = int(self.revision.rpartition("/")[2])
        if self._call(self.api.get_discussion_details, discussion_num=number).status == "draft":
            self._call(self.api.change_discussion_status, discussion_num=number, new_status="open")

    def upload(self, additions: Sequence[CommitOperationAdd], sent: Callable[[int], None]) -> None:
        """Upload the contents of files for a later commit; contents that the Hub has are skipped.

        Args:
            additions: The files.
            sent: Called with the size of each uploaded batch in bytes.
        """
        # A pull request can be opened without write access to the branch.
        to: dict[str, Any] = (
            {"create_pr": True} if self.revision.startswith("refs/pr/") else {"revision": self.revision}
        )
        for batch in batches(additions):
            self._call(self.api.preupload_lfs_files, additions=batch, free_memory=False, **to)
            sent(sum(addition.upload_info.size for addition in batch))

    def commit(self, changes: Sequence[Any], message: str, description: str, parent: str | None) -> str:
        """Create a commit, without retries.

        Returns:
            Its id.

        Raises:
            Exception: One of `retry.FAILURES`.
        """
        info = self.api.create_commit(
            self.repo,
            changes,
            repo_type="dataset",
            revision=self.revision,
            commit_message=message,
            commit_description=description,
            parent_commit=parent,
        )
        return str(info.oid)

    def landed(self, mark: str, since: str | None) -> str | None:
        """Return the id of the commit with a mark in its description, if it is newer than another commit."""
        for commit in self._call(self.api.list_repo_commits, revision=self.revision):
            if commit.commit_id == since:
                break
            if mark in commit.message:
                return commit.commit_id
        return None

    def tags(self) -> dict[str, str]:
        """Return the commit of each tag."""
        return {tag.name: tag.target_commit for tag in self._call(self.api.list_repo_refs).tags}

    def tag(self, name: str, commit: str) -> None:
        """Tag a commit unless it has that tag."""
        self._call(self.api.create_tag, tag=name, revision=commit, exist_ok=True)

    def _call(
        self, function: Callable[..., Result], known: tuple[type[Exception], ...] = (), **arguments: Any
    ) -> Result:
        return patiently(lambda: function(self.repo, repo_type="dataset", **arguments), known, tries=self.tries)

    def _tree(self, repo: str, **arguments: Any) -> list[Any]:
        return list(self.api.list_repo_tree(repo, recursive=True, **arguments))


def batches(additions: Sequence[CommitOperationAdd]) -> Iterator[list[CommitOperationAdd]]:
    """Split files, in order, into batches of at most `BATCH_FILES` and `BATCH_BYTES`, or of one larger file."""
    batch: list[CommitOperationAdd] = []
    for addition in additions:
        full = sum(a.upload_info.size for a in [*batch, addition]) > BATCH_BYTES or len(batch) == BATCH_FILES
        if batch and full:
            yield batch
            batch = []
        batch.append(addition)
    if batch:
        yield batch


def deletion(path: str) -> CommitOperationDelete:
    """Return the operation that deletes a file."""
    return CommitOperationDelete(path, is_folder=False)
