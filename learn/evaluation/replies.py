"""Score replies of vision-language models to multiple-choice questions, without letters.

A model that is asked for a letter is also tested on letters. Here it replies in words, and the choice that its reply
names counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ...errors import MedIMetaError

_ARTICLE = re.compile(r"^(a|an|the) ")


class Score(NamedTuple):
    """Score of a model on the questions of a task.

    Attributes:
        task: Id of the task.
        questions: Number of questions.
        unclear: Number of replies that name no choice or several; they count as wrong.
        accuracy: Share of right replies, from 0 to 1.
        low: Lower end of its 95 % interval (Wilson).
        high: Upper end.
        chance: Expected accuracy of choosing at random.
    """

    task: str
    questions: int
    unclear: int
    accuracy: float
    low: float
    high: float
    chance: float


def match_reply(reply: str, choices: Sequence[str]) -> int | None:
    """Return the position of the choice that a reply names, or None if it names none or several.

    Case, punctuation and articles do not matter. Of a choice with an explanation after a comma, the part before it is
    enough. A choice that is only named as part of a longer one does not count.

        >>> match_reply("It shows a benign tumour.", ["a benign tumour", "a malignant tumour, breast cancer"])
        0
    """
    text = f" {_plain(reply)} "
    spans = [
        (match.start(), match.end(), place)
        for place, choice in enumerate(choices)
        for name in {_plain(choice), _plain(choice.partition(",")[0])}
        for match in re.finditer(f"(?<= ){re.escape(name)}(?= )", text)
        if name
    ]
    named = {
        place
        for start, end, place in spans
        if not any(s <= start and end <= e and e - s > end - start and other != place for s, e, other in spans)
    }
    return named.pop() if len(named) == 1 else None


def score_replies(questions: Iterable[Mapping[str, Any]], replies: Iterable[str]) -> list[Score]:
    """Score replies in words.

    Args:
        questions: Rows of a question config, with `task`, `choices` and `answer_text`.
        replies: The reply to each.

    Returns:
        A score per task, in the order of the questions.

    Raises:
        MedIMetaError: If there are more or fewer replies than questions.
    """
    from scipy.stats import binomtest

    rows, texts = list(questions), list(replies)
    if len(rows) != len(texts):
        raise MedIMetaError(
            f"There are {len(texts):,} replies to {len(rows):,} questions. Give one for each, in order."
        )
    results: dict[str, list[tuple[bool, bool, float]]] = {}
    for row, reply in zip(rows, texts, strict=True):
        place = match_reply(reply, row["choices"])
        right = place is not None and row["choices"][place] == row["answer_text"]
        results.setdefault(str(row["task"]), []).append((right, place is None, 1 / len(row["choices"])))
    scores = []
    for task, values in results.items():
        right, unclear, chance = (sum(column) for column in zip(*values, strict=True))
        interval = binomtest(int(right), len(values)).proportion_ci(method="wilson")
        share = right / len(values)
        scores.append(Score(task, len(values), int(unclear), share, interval.low, interval.high, chance / len(values)))
    return scores


def _plain(text: str) -> str:
    """Return the words of a text in lower case, without a leading article."""
    return _ARTICLE.sub("", " ".join(re.findall(r"\w+", text.casefold())))
