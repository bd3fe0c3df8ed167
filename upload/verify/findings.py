"""Findings of verifying a Hub folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ...errors import visible

Severity = Literal["error", "warning", "note"]


class Problem(NamedTuple):
    """A problem that a rule finds in a dataset.

    Attributes:
        severity: "error" (must not be published so), "warning" (a fault that published sources also have) or "note".
        message: Description.
        examples: Descriptions of the first few places.
    """

    severity: Severity
    message: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """A problem with the dataset and the rule that found it.

    Attributes:
        severity: "error" (must not be published so), "warning" (a fault that published sources also have) or "note".
        dataset: Id of the dataset.
        rule: Name of the rule that found it.
        message: Description.
        examples: Descriptions of the first few places.
    """

    severity: Severity
    dataset: str
    rule: str
    message: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line, and one per example: a name from a file must not be able to fake another."""
        first = f"{self.dataset}: {self.severity}: {self.rule}: {self.message}"
        return "\n".join(map(visible, [first, *(f"    {example}" for example in self.examples)]))


def clean(findings: Sequence[Finding]) -> bool:
    """Whether no finding is an error."""
    return all(finding.severity != "error" for finding in findings)


def summary(findings: Sequence[Finding]) -> str:
    """Describe all findings, and count them by severity."""
    counts = Counter(finding.severity for finding in findings)
    numbers = [f"{counts[name]} {name}(s)" for name in ("error", "warning", "note") if counts[name]]
    return "\n".join(
        [*map(str, findings), f"{'Clean' if clean(findings) else 'Not clean'}: {', '.join(numbers) or 'no findings'}."]
    )
