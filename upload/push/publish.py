"""Publish a Hub folder in one atomic commit (`medimeta push`).

File contents are uploaded first, in batches, and stay on the Hub if the push is interrupted. One commit then adds them
all. The commit names its parent, so it fails if somebody else committed in the meantime; the repository is then read
again and only the remaining differences are committed. Reading it again also shows whether a commit arrived whose
response was lost.

Datasets on the Hub that are not pushed keep their files and their section of the card (see `release`). Configs that
others added keep their entries in the front matter.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import CommitOperationAdd, HfApi

from ...cards.card import Config, foreign_entries
from ...cards.config_entries import Foreign
from ...cards.question_names import with_questions
from ...errors import PushFailed, PushRefused, some
from ...files.remote import access
from ...files.remote.network import TRIES
from ...files.remote.repository import MAIN, Remote, State, Stored, deletion
from ...files.remote.retry import FAILURES, transient, wait
from ..folder.card_files import CARD
from ..folder.record import RECORDS
from ..verify.folder import verify_folder
from ..verify.published import front_matter_in
from . import landing, refusals
from .options import PushOptions, Watch
from .plan import CARD_RECORD, LocalFile, Plan, compare, kept, owner
from .release import Release, load

HASTY = 2  # attempts of a dry run, which changes nothing and can be repeated at once


@dataclass(frozen=True)
class Pushed:
    """Result of a push.

    Attributes:
        plan: The changes.
        commit: The commit with the release; None for a dry run.
        made: Whether this push created it.
        revision: Its branch or pull request.
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
        repo: Name of the dataset repository, "<namespace>/<name>"; created if need be.
        options: Options of the push.
        version: Version of this project, for the card.
        api: The Hub's client; by default, endpoint and token are found as usual.
        executor: Executor that checks rows; None checks them in this process.
        workers: Number of workers of the executor.
        watch: Callbacks that report progress.

    Raises:
        PushRefused: If this package refuses to publish it; nothing was changed.
        PushFailed: If the Hub cannot be reached or rejects it. The branch holds either the old or the new release.
        NotAHubFolder, UnknownName, SourceBroken: If the folder is not a valid Hub folder.
    """
    options, watch = options or PushOptions(), watch or Watch()
    access.repository_name(repo)
    datasets = refusals.chosen(folder, options.only)
    refusals.scripts((path.name for path in folder.iterdir()), repo, str(folder))
    if not options.dry_run:
        access.logged_in(repo, api, "--dry-run needs no login for a public repository.")
    with TemporaryDirectory(prefix="medimeta-push-") as workshop:
        release = Release(folder, datasets, version, Path(workshop))
        tries = HASTY if options.dry_run else TRIES
        remote = Remote(repo, options.revision, api or HfApi(), tries)
        return _Push(release, remote, options, watch).run(executor, workers)


class _Push:
    """State of one push."""

    def __init__(self, release: Release, remote: Remote, options: PushOptions, watch: Watch) -> None:
        self.release, self.remote, self.options, self.watch = release, remote, options, watch
        self.replaced = frozenset(release.datasets) | options.removed(release.datasets)
        self.title = f"Release {options.tag + ': ' if options.tag else ''}{some(release.datasets)}"
        self._data: dict[str, LocalFile] = {}
        self._others: dict[Stored, Config] = {}
        self._foreign: dict[Stored, Foreign] = {}
        self._sent: dict[tuple[str, str], CommitOperationAdd] = {}

    def run(self, executor: Executor | None, workers: int) -> Pushed:
        """Read the repository, check, upload, commit and verify."""
        state = self._look()
        self._data = self.release.data(self.watch.read)
        self._check_rows(state, executor, workers)
        plan = self._plan(state)
        tagged = landing.is_tagged(self.remote, plan, self.options.tag)
        self.watch.planned(plan)
        if self.options.dry_run:
            return Pushed(plan, None, made=False, revision=self.remote.revision)
        plan = self._prepared(plan)
        commit = self._commit(plan)
        if self.remote.revision != self.options.revision:
            self.remote.publish_pull_request()
        if self.options.tag and not tagged:
            landing.create_tag(self.remote, self.options.tag, commit)
        return Pushed(plan, commit, made=not plan.empty, revision=self.remote.revision)

    def _look(self) -> State:
        """Read the repository, and check that the release may be published there."""
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
        """Verify the datasets with changed files; those already on the Hub were checked by an earlier push."""
        new = {owner(path) for path, file in self._data.items() if not file.is_stored(state.files.get(path))}
        if new:
            folder = self.release.to_check(sorted(map(str, new)))
            found = verify_folder(folder, executor=executor, workers=workers, advance=self.watch.checked)
            refusals.faults([finding for finding in found if finding.dataset in new])

    def _plan(self, state: State) -> Plan:
        """Return the changes to make; the card also covers the datasets that stay."""
        others = {name: self._other(name, state) for name in kept(state.files, self.replaced)}
        plan = compare(
            self._data | self.release.card(others, self._foreign_entries(state), self.remote.repo), state, self.replaced
        )
        refusals.foreign_rows(plan)
        return plan

    def _other(self, name: str, state: State) -> Config:
        """Return the card's section of a dataset that is not pushed."""
        path = f"{RECORDS}/{name}/{CARD_RECORD}"
        old = f"{name}/{CARD_RECORD}"  # before version 0.3
        path = old if old in state.files and path not in state.files else path
        if path not in state.files:
            raise PushRefused(
                f"The repository has {name} but not {path}, so its section of the card cannot be kept. "
                f"Push {name} together with these datasets, or remove it with --remove {name}."
            )
        stored = state.files[path]
        if stored not in self._others:
            self._others[stored] = load(name, self.remote.read(path, state))
        return self._others[stored]

    def _foreign_entries(self, state: State) -> Foreign:
        """Return the entries of configs that others added, e.g. with `push_to_hub`, and of questions."""
        stored = state.files.get(CARD)
        if stored is None:
            return self.release.questions
        if stored not in self._foreign:
            front = front_matter_in(self.remote.read(CARD, state))
            if isinstance(front, str):
                refusals.unreadable_card(front, self.remote.repo, overwrite=self.options.overwrite_card)
                front = {}
            self._foreign[stored] = with_questions(foreign_entries(front), self.replaced, self.release.questions)
        return self._foreign[stored]

    def _prepared(self, plan: Plan) -> Plan:
        """Create the repository, branch, gate and pull request that are missing."""
        state, gated = plan.state, self.options.gated
        if state.head is None:
            if self.options.create_pr:
                raise PushRefused(
                    f"{self.remote.repo} does not exist, so a pull request cannot be opened. Leave out --create-pr."
                )
            self.remote.create(private=self.options.private)
        if not state.has_branch and self.remote.revision != MAIN:
            self.remote.create_branch()
        if gated is not None and gated != state.gated:
            self.remote.gate(gated)
        if self.options.create_pr and not plan.empty:
            self.remote = self.remote.pull_request(self.title, f"Published with medimeta-hf {self.release.version}.")
        elif state.has_branch:
            return plan
        return self._plan(self._look())

    def _commit(self, plan: Plan) -> str:
        """Upload the contents, commit them as described above, and return the commit."""
        attempt = 0
        while not plan.empty:
            self._send(plan)
            mark = f"Release {plan.digest}"
            changes = [*(self._sent[key] for key in plan.new), *map(deletion, plan.deleted)]
            about = f"Published with medimeta-hf {self.release.version}.\n\n{mark}"
            commit: str | None
            try:
                commit = self.remote.commit(changes, self.title, about, plan.state.head)
            except FAILURES as error:
                # Perhaps only the response was lost.
                commit = self.remote.landed(mark, plan.state.head) if transient(error) else None
                if commit is None:
                    wait(error, attempt)
            if commit is not None:
                landing.check_commit(self.remote, plan, commit)
                return commit
            plan = self._plan(self._look())
            attempt += 1
        return str(plan.state.head)

    def _send(self, plan: Plan) -> None:
        """Upload the contents that the Hub does not have; they must be those that the plan was made from."""
        files = {key: plan.files[key[0]] for key in plan.new if key not in self._sent}
        gone = [path for (path, _), file in files.items() if not file.source.is_file()]
        if not gone:
            fresh = {key: CommitOperationAdd(key[0], str(file.source)) for key, file in files.items()}
            self.remote.upload(list(fresh.values()), self.watch.sent)
            gone = [path for (path, sha256), sent in fresh.items() if sent.upload_info.sha256.hex() != sha256]
            self._sent |= fresh
        if gone:
            raise PushFailed(
                f"{some(gone)} changed during the upload. Nothing was committed; rerun the command when the build has "
                "finished."
            )
