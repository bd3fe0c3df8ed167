"""The table of datasets in README.md."""

from __future__ import annotations

from .catalogue import DATASETS


def datasets_table() -> str:
    """Return a Markdown table with one line per dataset."""
    lines = ["| config | dataset | domain | images | tasks (main first) | licence |", "|---|---|---|--:|---|---|"]
    for card in DATASETS.values():
        names = [f"{task.name} ({len(task.labels)})" for task in card.tasks[:3]]
        more = f" and {len(card.tasks) - 3} more" if len(card.tasks) > 3 else ""
        use = "" if card.licence.commercial else ", no commercial use"
        lines.append(
            f"| `{card.id}` | {card.name} | {card.domain} | {card.total:,} | {', '.join(names)}{more} | "
            f"{card.licence.id}{use} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(datasets_table())  # noqa: T201
