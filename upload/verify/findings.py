"""What verifying a Hub folder brings to light."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "note"]


class Problem(NamedTuple):
    """What a rule finds in a dataset.

    Attributes:
        severity: "error" (must not be published so), "warning" (a fault that published sources have too) or "note".
        message: What is wrong, or worth knowing.
        examples: The first few places.
    """

    severity: Severity
    message: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """A problem, and where it was found.

    Attributes:
        severity: "error" (must not be published so), "warning" (a fault that published sources have too) or "note".
        dataset: Id of the dataset.
        rule: Name of the rule that found it.
        message: What is wrong, or worth knowing.
        examples: The first few places.
    """

    severity: Severity
    dataset: str
    rule: str
    message: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        first = f"{self.dataset}: {self.severity}: {self.rule}: {self.message}"
        return "\n".join([first, *(f"    {example}" for example in self.examples)])


def clean(findings: Sequence[Finding]) -> bool:
    """Whether there is no error among the findings."""
    return all(finding.severity != "error" for finding in findings)


def summary(findings: Sequence[Finding]) -> str:
    """All findings, and how many there are of each severity, in lines to read."""
    counts = Counter(finding.severity for finding in findings)
    numbers = [f"{counts[name]} {name}(s)" for name in ("error", "warning", "note") if counts[name]]
    return "\n".join(
        [*map(str, findings), f"{'Clean' if clean(findings) else 'Not clean'}: {', '.join(numbers) or 'no findings'}."]
    )
