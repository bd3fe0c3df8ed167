"""`medimeta push`: a Hub folder to the Hub in one commit that either happens or does not.

Contents go first, in batches, and stay on the Hub whatever comes after; then one commit names them all. It says from
which state it starts, so that it fails when somebody else was faster: then the repository is looked at again, and only
what still differs is committed. The same look tells that a commit landed whose answer was lost.

Datasets on the Hub that are not pushed keep their files, and their place in the card (see `release`); configs that
others added keep their entries in its front matter.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import CommitOperationAdd, HfApi

from ...cards.card import Config, Foreign, foreign_entries
from ...errors import PushFailed, PushRefused, some
from ...files import access
from ...files.network import TRIES
from ...files.repository import MAIN, Remote, State, Stored, deletion
from ...files.retry import FAILURES, transient, wait
from ..folder.card_files import CARD
from ..verify.folder import verify_folder
from ..verify.published import front_matter_in
from . import refusals
from .options import PushOptions, Watch
from .plan import CARD_RECORD, LocalFile, Plan, compare, kept
from .release import Release, load

HASTY = 2  # attempts of a dry run, which changes nothing and can be repeated at once


@dataclass(frozen=True)
class Pushed:
    """What a push did.

    Attributes:
        plan: What there was to do.
        commit: The commit that holds the release; None for a dry run.
        made: Whether this push made it.
        revision: The branch or pull request it is on.
    """

    plan: Plan
    commit: str | None
    made: bool
    revision: str


def push(
    folder: Path,
    repo: str,
    options: PushOptions | None = None,
    *,
    version: str,
    api: HfApi | None = None,
    executor: Executor | None = None,
    workers: int = 1,
    watch: Watch | None = None,
) -> Pushed:
    """Publish a Hub folder.

    Args:
        folder: The Hub folder; it is only read.
        repo: Name of the dataset repository, "<namespace>/<name>"; made when it is not there.
        options: What to publish, and how.
        version: Version of this project, for the card.
        api: The Hub's client; by default it finds endpoint and token by itself.
        executor: Where rows are checked; None does it here.
        workers: Number of workers of the executor.
        watch: Who is told how it goes on.

    Raises:
        PushRefused: If something must not be published so; nothing was changed.
        PushFailed: If the Hub cannot be reached or does not accept it. The branch holds the old release or the new.
        NotAHubFolder, UnknownName, SourceBroken: If the folder is not what it should be.
    """
    options, watch = options or PushOptions(), watch or Watch()
    access.repository_name(repo)
    datasets = refusals.chosen(folder, options.only)
    refusals.scripts((path.name for path in folder.iterdir()), repo, str(folder))
    if not options.dry_run:
        access.logged_in(repo, api, "--dry-run needs none for a public repository.")
    with TemporaryDirectory(prefix="medimeta-push-") as workshop:
        release = Release(folder, datasets, version, Path(workshop))
        tries = HASTY if options.dry_run else TRIES
        remote = Remote(repo, options.revision, api or HfApi(), tries)
        return _Push(release, remote, options, watch).run(executor, workers)


class _Push:
    """One push, from the first look to the last."""

    def __init__(self, release: Release, remote: Remote, options: PushOptions, watch: Watch) -> None:
        self.release, self.remote, self.options, self.watch = release, remote, options, watch
        self.replaced = frozenset(release.datasets) | options.removed(release.datasets)
        self.title = f"Release {options.tag + ': ' if options.tag else ''}{some(release.datasets)}"
        self._data: dict[str, LocalFile] = {}
        self._others: dict[Stored, Config] = {}
        self._foreign: dict[Stored, Foreign] = {}
        self._sent: dict[tuple[str, str], CommitOperationAdd] = {}

    def run(self, executor: Executor | None, workers: int) -> Pushed:
        """Look, refuse, send, commit, look again."""
        state = self._look()
        self._data = self.release.data(self.watch.read)
        self._check_rows(state, executor, workers)
        plan = self._plan(state)
        tagged = self._is_tagged(plan)
        self.watch.planned(plan)
        if self.options.dry_run:
            return Pushed(plan, None, made=False, revision=self.remote.revision)
        plan = self._prepared(plan)
        commit = self._commit(plan)
        if self.remote.revision != self.options.revision:
            self.remote.publish_pull_request()
        if self.options.tag and not tagged:
            self._tag(self.options.tag, commit)
        return Pushed(plan, commit, made=not plan.empty, revision=self.remote.revision)

    def _look(self) -> State:
        """What the repository holds, if it may be published to."""
        state, repo = self.remote.state(), self.remote.repo
        refusals.scripts(state.files, repo, f"The repository {repo}")
        access.made_public(state, repo, private=self.options.private)
        self._check_visibility(state)
        return state

    def _check_visibility(self, state: State) -> None:
        private = self.options.private if state.private is None else state.private
        refusals.visibility(
            self.release.records,
            public=not private,
            permissions=self.options.permissions,
            partial=self.options.partial,
        )

    def _check_rows(self, state: State, executor: Executor | None, workers: int) -> None:
        """Verify the datasets that would be sent; what the Hub holds already was checked before it was sent."""
        new = {path.partition("/")[0] for path, file in self._data.items() if not file.is_stored(state.files.get(path))}
        if new:
            folder = self.release.to_check(sorted(new))
            found = verify_folder(folder, executor=executor, workers=workers, advance=self.watch.checked)
            refusals.faults([finding for finding in found if finding.dataset in new])

    def _plan(self, state: State) -> Plan:
        """What is to do; the card covers the datasets that stay, too."""
        others = {name: self._other(name, state) for name in kept(state.files, self.replaced)}
        plan = compare(self._data | self.release.card(others, self._foreign_entries(state)), state, self.replaced)
        refusals.foreign_rows(plan)
        return plan

    def _other(self, name: str, state: State) -> Config:
        """What the card says of a dataset that is not pushed."""
        path = f"{name}/{CARD_RECORD}"
        if path not in state.files:
            raise PushRefused(
                f"The repository holds {name} without {path}, so that its place in the card cannot be kept. "
                f"Push {name} together with these datasets, or take it away with --remove {name}."
            )
        stored = state.files[path]
        if stored not in self._others:
            self._others[stored] = load(name, self.remote.read(path, state))
        return self._others[stored]

    def _foreign_entries(self, state: State) -> Foreign:
        """What the card on the Hub says of configs that others added, for example with `push_to_hub`."""
        stored = state.files.get(CARD)
        if stored is None:
            return {}
        if stored not in self._foreign:
            front = front_matter_in(self.remote.read(CARD, state))
            if isinstance(front, str):
                refusals.unreadable_card(front, self.remote.repo, overwrite=self.options.overwrite_card)
                front = {}
            self._foreign[stored] = foreign_entries(front)
        return self._foreign[stored]

    def _prepared(self, plan: Plan) -> Plan:
        """Make repository, branch, gate and pull request where they are wanted and not there."""
        state, gated = plan.state, self.options.gated
        if state.head is None:
            if self.options.create_pr:
                raise PushRefused(
                    f"{self.remote.repo} is not there, so that nobody could merge. Leave out --create-pr."
                )
            self.remote.create(private=self.options.private)
        if not state.has_branch and self.remote.revision != MAIN:
            self.remote.create_branch()
        if gated is not None and gated != state.gated:
            self.remote.gate(gated)
        if self.options.create_pr and not plan.empty:
            self.remote = self.remote.pull_request(self.title, f"Made by medimeta-hf {self.release.version}.")
        elif state.has_branch:
            return plan
        return self._plan(self._look())

    def _commit(self, plan: Plan) -> str:
        """Send the contents and make the commit, as the top of this module says; the commit that holds the release."""
        attempt = 0
        while not plan.empty:
            self._send(plan)
            mark = f"Release {plan.digest}"
            changes = [*(self._sent[key] for key in plan.new), *map(deletion, plan.deleted)]
            about = f"Made by medimeta-hf {self.release.version}.\n\n{mark}"
            commit: str | None
            try:
                commit = self.remote.commit(changes, self.title, about, plan.state.head)
            except FAILURES as error:
                # Its answer may be all that was lost.
                commit = self.remote.landed(mark, plan.state.head) if transient(error) else None
                if commit is None:
                    wait(error, attempt)
            if commit is not None:
                self._verify(plan, commit)
                return commit
            plan = self._plan(self._look())
            attempt += 1
        return str(plan.state.head)

    def _send(self, plan: Plan) -> None:
        """Bring the contents to the Hub that are not there yet, exactly those that the plan was made from."""
        files = {key: plan.files[key[0]] for key in plan.new if key not in self._sent}
        gone = [path for (path, _), file in files.items() if not file.source.is_file()]
        if not gone:
            fresh = {key: CommitOperationAdd(key[0], str(file.source)) for key, file in files.items()}
            self.remote.upload(list(fresh.values()), self.watch.sent)
            gone = [path for (path, sha256), sent in fresh.items() if sent.upload_info.sha256.hex() != sha256]
            self._sent |= fresh
        if gone:
            raise PushFailed(
                f"{some(gone)} changed while being sent. Nothing was committed; run the same command again when the "
                "build is done."
            )

    def _verify(self, plan: Plan, commit: str) -> None:
        """Every file of the commit has the hash that it has here."""
        left = compare(plan.files, self.remote.state(commit), plan.datasets)
        if not left.empty:
            paths = [*left.added, *left.changed, *left.deleted]
            raise PushFailed(
                f"Commit {commit} of {self.remote.repo} does not hold what was sent: {some(paths)}. Run the same "
                "command again. If that does not help, look for a .gitignore in the repository that keeps files out."
            )

    def _is_tagged(self, plan: Plan) -> bool:
        """Whether the tag names this very release already."""
        tag = self.options.tag
        tagged = self.remote.tags().get(tag) if tag and plan.state.head else None
        if tagged is None:
            return False
        if not compare(plan.files, self.remote.state(tagged), plan.datasets).empty:
            raise PushRefused(f"The tag {tag} names another release, and tags do not move. Choose the next version.")
        return True

    def _tag(self, tag: str, commit: str) -> None:
        self.remote.tag(tag, commit)
        if self.remote.tags().get(tag) != commit:
            raise PushFailed(
                f"Published as {commit}, but somebody else was faster to use the tag {tag}. Choose another."
            )
