"""The dataset card: `README.md` of a Hub folder, from the catalogue and the build."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..errors import MedIMetaError
from .catalogue import DATASETS
from .citing import MEDIMETA, entries
from .config_entries import Foreign, config_entry, info_entry
from .details import SplitRule
from .facts import SPLITS, DatasetCard, Task
from .question_names import question_sizes

ARXIV = "2404.16000"
DOI = "10.1038/s41597-025-04866-4"
LICENCES = "LICENSE.md"  # one of the two names that the Hub links to
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
LARGER = "1M<n<10M"
NAMELESS = "<namespace>/medimeta"
PUBLISHED_SIZE = 224  # height and width in pixels
NONE, UNKNOWN = "none of these", "unknown"

MEMBERSHIP = {
    "source": "The splits of the source, as published",
    "computed": "The published algorithm on the published rows, hence the published membership",
    "recomputed": "The published algorithm on these rows; membership **differs from the release**",
    "release": "Read from the release, hence the published membership",
}


@dataclass(frozen=True)
class Contents:
    """Counts over the rows of a dataset.

    Attributes:
        counts: Number of rows per task column, label (see `label_names`) and split.
        subjects: Number of distinct subjects per split, if the source identifies them.
        shared_subjects: Number of subjects with rows in several splits.
        nameless: Number of rows without a known subject.
    """

    counts: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    subjects: Mapping[str, int] = field(default_factory=dict)
    shared_subjects: int = 0
    nameless: int = 0


@dataclass(frozen=True)
class Config:
    """One dataset of a Hub folder, as the dataset card shows it.

    Attributes:
        card: The dataset's card.
        features: Columns, as stored in the metadata of the Parquet files.
        sizes: `num_examples`, `num_bytes` and `download_size` per split.
        labels: "released" or "corrected".
        membership: A key of `MEMBERSHIP`.
        contents: Counts over its rows.
        source: Kind of source it was built from: "raw", "release" or "hub".
        source_files: Number of files in that source.
        source_bytes: Total size of these files.
        masks: Whether it has mask columns.
        version: Version of this project that built it.
        dataset_version: Version of the dataset that was built, see `DatasetCard.version`.
        montage: Path of the example images in the folder; None if there are none.
        chart: Path of the class balance chart in the folder.
        size: Height and width of the images, in pixels.
    """

    card: DatasetCard
    features: Mapping[str, Any]
    sizes: Mapping[str, Mapping[str, int]]
    labels: str
    membership: str
    contents: Contents = Contents()
    source: str = "raw"
    source_files: int = 0
    source_bytes: int = 0
    masks: bool = False
    version: str = ""
    dataset_version: str = ""
    montage: str | None = None
    chart: str = ""
    size: int = PUBLISHED_SIZE

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(size["num_examples"] for size in self.sizes.values())

    @property
    def partial(self) -> bool:
        """Whether split sizes differ from those published."""
        return {split: size["num_examples"] for split, size in self.sizes.items()} != self.card.splits.counts

    @property
    def heading(self) -> str:
        """Heading of its section."""
        return f"{self.card.id}: {self.card.name}"

    @property
    def anchor(self) -> str:
        """Anchor of its section, for links within the card."""
        return re.sub(r"[^\w\- ]", "", self.heading.lower()).replace(" ", "-")

    def balance(self, task: Task) -> list[tuple[str, Mapping[str, int]]]:
        """Return each label of a task with its rows per split; "no label" and "unknown" only if there are such rows."""
        counts = self.contents.counts[task.column]
        return [(name, counts[name]) for name in label_names(task) if name in task.labels or any(counts[name].values())]


def label_names(task: Task) -> tuple[str, ...]:
    """Return the names under which rows are counted: the labels, then `NONE` (multilabel) and `UNKNOWN`."""
    return (*task.labels, *((NONE,) if task.kind == "multilabel" else ()), UNKNOWN)


def render_card(
    configs: Sequence[Config], version: str, foreign: Foreign | None = None, repo: str | None = None
) -> str:
    """Return the text of README.md.

    Args:
        configs: The datasets of the folder, in order; at least one, each with its contents.
        version: Version of this project.
        foreign: Entries of other configs to keep in the front matter, from `foreign_entries`.
        repo: The repository that it is pushed to; None while that is not known.

    Returns:
        YAML front matter and Markdown body, the same for the same input.
    """
    return _render("card.md.jinja", configs, version, foreign, repo)


def render_licences(configs: Sequence[Config], version: str) -> str:
    """Return the text of LICENSE.md, which the front matter links to; arguments as for `render_card`."""
    return "# Licences\n\n" + _render("licences.md.jinja", configs, version)


def _render(
    template: str,
    configs: Sequence[Config],
    version: str,
    foreign: Foreign | None = None,
    repo: str | None = None,
) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  Markdown; every value comes from the catalogue
    )
    size = common_size(configs)
    environment.filters["number"] = "{:,}".format
    environment.filters["counted"] = lambda count, noun: f"{count:,} {noun}{'' if count == 1 else 's'}"
    environment.filters["codes"] = lambda names: ", ".join(f"`{name}`" for name in names)
    environment.filters["dois"] = lambda dois: ", ".join(f"[{doi}](https://doi.org/{doi})" for doi in dois)
    return environment.get_template(template).render(
        front_matter=yaml.safe_dump(front_matter(configs, foreign), sort_keys=False, allow_unicode=True, width=10_000),
        configs=configs,
        questions=question_sizes(foreign or {}),
        splits=SPLITS,
        split_rule=_split_rule,
        membership=MEMBERSHIP,
        bibtex=[MEDIMETA, *entries(config.card for config in configs)],
        arxiv=ARXIV,
        doi=DOI,
        version=version,
        repo=repo or NAMELESS,
        nameless=repo is None,
        first=_first(configs).card,
        size=f"{size}x{size}",
        published=size == PUBLISHED_SIZE,
    )


def common_size(configs: Sequence[Config]) -> int:
    """Return the height and width of the images of all datasets of a folder.

    Raises:
        MedIMetaError: If they differ.
    """
    sizes = {config.size: config.card.id for config in configs}
    if len(sizes) > 1:
        found = ", ".join(f"{size}x{size} pixels (such as {dataset})" for size, dataset in sorted(sizes.items()))
        raise MedIMetaError(
            f"Datasets with images of {found} cannot be in one Hub folder or repository. Keep one for each size: "
            "medimeta build ID --size SIZE --out FOLDER",
            code="mixed-sizes",
        )
    return next(iter(sizes), PUBLISHED_SIZE)


def _split_rule(rule: SplitRule) -> str:
    """Describe how the splits were made."""
    if rule.rule == "source" or rule.train is None or rule.validation is None:
        return "the splits of the source"
    together = f", keeping rows with the same `{rule.by}` together" if rule.by == "subject_id" else ""
    if rule.rule == "random":
        return f"at random, {rule.train:.0%} train, {rule.validation:.0%} validation, the rest test{together}"
    return (
        "the source's held-out part is test, the rest is divided at random, "
        f"{rule.train:.0%} train, {rule.validation:.0%} validation{together}"
    )


def front_matter(configs: Sequence[Config], foreign: Foreign | None = None) -> dict[str, Any]:
    """Return the YAML front matter, which the Hub and `load_dataset` read; arguments as for `render_card`."""
    foreign = foreign or {}
    taken = any(entry.get("default") or _name(entry) == "default" for entry in foreign.get("configs", ()))
    rows = sum(config.rows for config in configs)
    kinds = {task.kind for config in configs for task in config.card.tasks}
    domains = {config.card.domain.lower().replace(" ", "-") for config in configs}
    return {
        "pretty_name": "MedIMeta",
        "license": "other",
        "license_name": "per-dataset",
        "license_link": LICENCES,
        "task_categories": ["image-classification"],
        "task_ids": [
            *(["multi-class-image-classification"] if kinds - {"multilabel"} else []),
            *(["multi-label-image-classification"] if "multilabel" in kinds else []),
        ],
        "tags": ["medical", *sorted(domains), f"arxiv:{ARXIV}", f"doi:{DOI}"],
        "size_categories": [next((name for limit, name in SIZES if rows < limit), LARGER)],
        "configs": [
            *(_config(config, default=config is _first(configs) and not taken) for config in configs),
            *foreign.get("configs", ()),
        ],
        "dataset_info": [
            *(info_entry(one.card.id, one.features, one.sizes) for one in configs),
            *foreign.get("dataset_info", ()),
        ],
    }


def _first(configs: Sequence[Config]) -> Config:
    """Return the config that is loaded when none is named: the smallest, which is there soonest."""
    return min(configs, key=lambda config: config.rows)


def foreign_entries(front: Mapping[str, Any]) -> Foreign:
    """Return the entries of configs that are not in the catalogue, such as `push_to_hub` adds."""
    foreign = {}
    for key in ("configs", "dataset_info"):
        value = front.get(key)
        entries = value if isinstance(value, list) else [value]  # `datasets` writes a single entry without a list
        foreign[key] = [entry for entry in entries if isinstance(entry, dict) and _name(entry) not in DATASETS]
    return foreign


def _name(entry: Mapping[str, Any]) -> str:
    """Return the config name of an entry; `datasets` omits "default"."""
    return str(entry.get("config_name", "default"))


def _config(config: Config, *, default: bool) -> dict[str, Any]:
    return config_entry(config.card.id, config.sizes) | ({"default": True} if default else {})
