"""The dataset card: `README.md` of a Hub folder, made from the catalogue and from what was built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .catalogue import SPLITS, DatasetCard

ARXIV = "2404.16000"
DOI = "10.1038/s41597-025-04866-4"
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))

MEMBERSHIP = {
    "source": "the source's own splits",
    "computed": "the published algorithm on the published rows, so the published membership",
    "recomputed": "the published algorithm on these rows; membership **differs from the release**",
    "release": "taken over from the release",
}


@dataclass(frozen=True)
class Config:
    """One dataset of a Hub folder, as its card shows it.

    Attributes:
        card: The dataset's facts.
        features: Its columns, as stored in the Parquet files' metadata.
        sizes: Per split `num_examples`, `num_bytes` and `download_size`.
        labels: "released" or "corrected".
        membership: A key of `MEMBERSHIP`.
    """

    card: DatasetCard
    features: Mapping[str, Any]
    sizes: Mapping[str, Mapping[str, int]]
    labels: str
    membership: str

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(size["num_examples"] for size in self.sizes.values())

    @property
    def partial(self) -> bool:
        """Whether splits have other sizes than published."""
        return {split: size["num_examples"] for split, size in self.sizes.items()} != self.card.splits.counts


def render_card(configs: Sequence[Config], version: str) -> str:
    """The text of README.md.

    Args:
        configs: The datasets of the folder, in order; at least one.
        version: Version of this project.

    Returns:
        YAML front matter and Markdown body; the same input gives the same text.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  Markdown; every value is from the catalogue
    )
    entries = {entry.strip() for config in configs for source in config.card.sources for entry in source.bibtex}
    return environment.get_template("card.md.jinja").render(
        front_matter=yaml.safe_dump(front_matter(configs), sort_keys=False, allow_unicode=True, width=10_000),
        configs=configs,
        splits=SPLITS,
        membership=MEMBERSHIP,
        bibtex=sorted(entries),
        arxiv=ARXIV,
        doi=DOI,
        version=version,
    )


def front_matter(configs: Sequence[Config]) -> dict[str, Any]:
    """The card's YAML: what the Hub and `load_dataset` read."""
    rows = sum(config.rows for config in configs)
    return {
        "pretty_name": "MedIMeta",
        "license": "other",
        "license_name": "per-dataset",
        "license_link": f"https://arxiv.org/abs/{ARXIV}",
        "task_categories": ["image-classification"],
        "tags": ["medical", *sorted({config.card.domain.lower().replace(" ", "-") for config in configs})],
        "size_categories": [next(name for limit, name in SIZES if rows < limit)],
        "configs": [_config(config, default=position == 0) for position, config in enumerate(configs)],
        "dataset_info": [_info(config) for config in configs],
    }


def _config(config: Config, *, default: bool) -> dict[str, Any]:
    name = config.card.id
    files = [{"split": split, "path": f"{name}/{split}-*.parquet"} for split in config.sizes]
    return {"config_name": name, "data_files": files} | ({"default": True} if default else {})


def _info(config: Config) -> dict[str, Any]:
    sizes = config.sizes.values()
    return {
        "config_name": config.card.id,
        "features": [{"name": name, **_typed(feature)} for name, feature in config.features.items()],
        "splits": [
            {"name": split, "num_bytes": size["num_bytes"], "num_examples": size["num_examples"]}
            for split, size in config.sizes.items()
        ],
        "download_size": sum(size["download_size"] for size in sizes),
        "dataset_size": sum(size["num_bytes"] for size in sizes),
    }


def _typed(feature: Any) -> dict[str, Any]:
    """A stored feature in the card's YAML form, which `datasets` 3.6 and later read."""
    if isinstance(feature, list):
        return {"list": [{"name": name, **_typed(inner)} for name, inner in feature[0].items()]}
    if feature["_type"] == "Sequence":
        return {"sequence": _typed(feature["feature"])["dtype"]}
    if feature["_type"] == "ClassLabel":
        return {"dtype": {"class_label": {"names": {str(i): name for i, name in enumerate(feature["names"])}}}}
    return {"dtype": feature["dtype"] if feature["_type"] == "Value" else feature["_type"].lower()}
