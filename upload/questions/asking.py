"""Turn the labels of images into multiple-choice questions.

Choices are the phrases of `cards.wording`. Everything random is decided by hashes of the seed, the task and the row, so
that it is the same on every machine.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ...cards.benchmark import task_id
from ...cards.facts import DatasetCard, Task
from ...cards.wording import Wording, wording_of

LETTERS = "ABCD"
CHOICES = len(LETTERS)  # at most, the right one included
YES, NO = "yes", "no"


class Question(NamedTuple):
    """A question about an image.

    Attributes:
        row: Position of the image among the rows that were given.
        id: "<task>/<index of the image>".
        task: Id of the task, see `cards.benchmark.task_id`.
        question: The text, without the choices.
        choices: The choices in the order in which they are shown.
        place: Position of the right one among them.
    """

    row: int
    id: str
    task: str
    question: str
    choices: tuple[str, ...]
    place: int

    @property
    def answer(self) -> str:
        """Letter of the right choice."""
        return LETTERS[self.place]


def questions_of(card: DatasetCard, rows: Mapping[str, Sequence[Any]], seed: int) -> list[Question]:
    """Ask at most one question per image and task; images whose label is unknown are left out.

    The right choice is equally often at each position, among all questions of a task with the same number of choices
    and, up to one, among those with the same answer. Questions of multilabel tasks ask for one label, present or
    absent; "yes" and "no" are as balanced as the labels allow.

    Args:
        card: The dataset's facts.
        rows: Columns of the images: `index` and those of the tasks, with label ids or None.
        seed: Seed of the choices and their order.

    Returns:
        The questions, by image and then by task.
    """
    wording = wording_of(card.id)
    found: list[Question] = []
    for task in card.tasks:
        ask = _yes_or_no if task.kind == "multilabel" else _which
        found += ask(task, wording, rows["index"], rows[task.column], seed)
    order = {task_id(task): number for number, task in enumerate(card.tasks)}
    return sorted(found, key=lambda question: (question.row, order[question.task]))


def _which(
    task: Task, wording: Wording, index: Sequence[int], labels: Sequence[int | None], seed: int
) -> Iterator[Question]:
    """Ask which label an image has; up to three others are drawn as distractors."""
    phrases = _phrases(task, wording)
    known = [(row, label) for row, label in enumerate(labels) if label is not None]
    places = _places(task, [(label, int(index[row])) for row, label in known], min(CHOICES, len(phrases)), seed)
    text = f"Which of these does this {_noun(wording)} show ({task.name})?"
    for (row, label), place in zip(known, places, strict=True):
        number = int(index[row])
        others = [other for other in range(len(phrases)) if other != label]
        others.sort(key=lambda other: _hash(seed, task, number, "distractor", other))
        choices = [phrases[other] for other in others[: CHOICES - 1]]
        choices.insert(place, phrases[label])
        yield Question(row, f"{task_id(task)}/{number}", task_id(task), text, tuple(choices), place)


def _yes_or_no(
    task: Task, wording: Wording, index: Sequence[int], labels: Sequence[Sequence[int] | None], seed: int
) -> Iterator[Question]:
    """Ask whether an image shows one label, drawn from those that it has ("yes") or lacks ("no")."""
    phrases = _phrases(task, wording)
    known = [(row, set(present)) for row, present in enumerate(labels) if present is not None]
    free = [row for row, present in known if 0 < len(present) < len(phrases)]
    free.sort(key=lambda row: _hash(seed, task, int(index[row]), "answer"))
    full = sum(len(present) == len(phrases) for _, present in known)
    yes = set(free[: max(0, len(known) // 2 - full)])  # all of them if most images have no label
    answers = [row in yes or len(present) == len(phrases) for row, present in known]
    pairs = [(int(answer), int(index[row])) for answer, (row, _) in zip(answers, known, strict=True)]
    places = _places(task, pairs, 2, seed)
    asked = _asked_labels(task, index, known, answers, seed)
    for (row, _), answer, place in zip(known, answers, places, strict=True):
        text = f"Does this {_noun(wording)} show {phrases[asked[row]]}?"
        right, wrong = (YES, NO) if answer else (NO, YES)
        choices = (right, wrong) if place == 0 else (wrong, right)
        yield Question(row, f"{task_id(task)}/{int(index[row])}", task_id(task), text, choices, place)


def _asked_labels(
    task: Task, index: Sequence[int], known: Sequence[tuple[int, set[int]]], answers: Sequence[bool], seed: int
) -> dict[int, int]:
    """Return the label that is asked for, by row.

    Labels with the answer "no" are chosen in the proportions of those with "yes": if frequent findings were mostly
    present and rare ones mostly absent, the question alone would give the answer away.
    """

    def drawn(row: int, labels: Iterable[int]) -> int:
        return min(labels, key=lambda label: _hash(seed, task, int(index[row]), "label", label))

    asked = {row: drawn(row, present) for (row, present), answer in zip(known, answers, strict=True) if answer}
    absent = [(row, present) for (row, present), answer in zip(known, answers, strict=True) if not answer]
    absent.sort(key=lambda one: _hash(seed, task, int(index[one[0]]), "absent"))
    scale = len(absent) / len(asked) if asked else 0
    wanted = {label: scale * count for label, count in Counter(asked.values()).items()}
    for row, present in absent:
        others = [label for label in range(len(task.labels)) if label not in present]
        most = max(wanted.get(label, 0) for label in others)
        asked[row] = drawn(row, [label for label in others if wanted.get(label, 0) == most])
        wanted[asked[row]] = most - 1
    return asked


def _places(task: Task, answers: Sequence[tuple[int, int]], choices: int, seed: int) -> list[int]:
    """Return the position of each right choice; `answers` are pairs of answer and index of the image."""
    order = sorted(
        range(len(answers)), key=lambda one: (answers[one][0], _hash(seed, task, answers[one][1], "position"))
    )
    places = [0] * len(answers)
    for rank, one in enumerate(order):
        places[one] = rank % choices
    return places


def _phrases(task: Task, wording: Wording) -> list[str]:
    """Return a phrase per label; the names of the labels if two would be the same."""
    given = wording.phrases.get(task.name, {})
    names = [label.replace("_", " ") for label in task.labels]
    phrases = [given.get(label, name) for label, name in zip(task.labels, names, strict=True)]
    return phrases if len(set(phrases)) == len(phrases) else names


def _noun(wording: Wording) -> str:
    """Describe an image without its article."""
    return wording.image.removeprefix("an ").removeprefix("a ")


def _hash(seed: int, task: Task, index: int, *what: str | int) -> str:
    return hashlib.sha256("\0".join(map(str, (seed, task_id(task), index, *what))).encode()).hexdigest()
