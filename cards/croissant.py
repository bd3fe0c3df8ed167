"""The Croissant description of a Hub folder: `croissant.json`, for tools without `datasets` or the Hub.

Version 1.1 of the format, with its responsible-AI (RAI) properties. File names are relative to `croissant.json`, so
that it is also valid for a local folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from . import responsible
from .card import ARXIV, DOI, Config, common_size
from .citing import MEDIMETA
from .facts import SPLITS

PUBLISHED = "2024-04-24"  # first version of the paper: a fixed date keeps the file reproducible
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
SPLIT_NAME = "splits/name"
_TYPES = {"string": "sc:Text", "int32": "sc:Integer", "int64": "sc:Integer", "float64": "sc:Float"}


def render_croissant(configs: Sequence[Config], version: str) -> str:
    """Return the text of croissant.json.

    Args:
        configs: The datasets of the folder, in order; at least one.
        version: Version of this project.

    Returns:
        JSON-LD, the same for the same input.
    """
    size = common_size(configs)
    facts = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": "MedIMeta",
        "description": f"{len(configs)} medical imaging dataset(s), images of {size}x{size} pixels, with fixed splits.",
        "url": f"https://doi.org/{DOI}",
        "sameAs": f"https://arxiv.org/abs/{ARXIV}",
        "creator": [
            {"@type": "sc:Person", "name": name}
            for name in ("Stefano Woerner", "Arthur Jaques", "Christian F. Baumgartner")
        ],
        "citeAs": MEDIMETA,
        "datePublished": PUBLISHED,
        "version": version,
        "license": sorted({link for config in configs for link in _licences(config)}),
        **responsible.facts(configs),
        "keywords": ["medical imaging", *sorted({config.card.domain for config in configs})],
        "distribution": [_files(config) for config in configs],
        "recordSet": [_splits(configs), *(_records(config) for config in configs)],
    }
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"


def _licences(config: Config) -> list[str]:
    """Return the URLs of the stated terms, or of the sources if the terms have no public text."""
    stated = config.card.licence.id
    if stated.startswith("LicenseRef-"):
        return [source.url for source in config.card.sources]
    return [f"https://spdx.org/licenses/{stated}"]


def _file_set(config: Config) -> str:
    return f"{config.card.id}-parquet"


def _files(config: Config) -> dict[str, Any]:
    name = config.card.id
    return {
        "@type": "cr:FileSet",
        "@id": _file_set(config),
        "name": _file_set(config),
        "description": f"The Parquet files of {name}.",
        "encodingFormat": "application/x-parquet",
        "includes": [f"{name}/{split}-*.parquet" for split in config.sizes],
    }


def _splits(configs: Sequence[Config]) -> dict[str, Any]:
    """List the splits, so that readers such as TFDS' CroissantBuilder load each by itself."""
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "description": "The splits of the datasets.",
        "dataType": "cr:Split",
        "key": {"@id": SPLIT_NAME},
        "field": [{"@type": "cr:Field", "@id": SPLIT_NAME, "name": SPLIT_NAME, "dataType": "sc:Text"}],
        "data": [{SPLIT_NAME: split} for split in SPLITS if any(split in config.sizes for config in configs)],
    }


def _records(config: Config) -> dict[str, Any]:
    card = config.card
    terms = "" if card.licence.commercial else " No commercial use."
    terms += "" if card.licence.redistribution else " The images may not be redistributed."
    return {
        "@type": "cr:RecordSet",
        "@id": card.id,
        "name": card.id,
        "description": f"{card.name}. {card.summary.strip()} Licence: {card.licence.id}.{terms}",
        "field": list(_fields(config)),
    }


def _fields(config: Config) -> Iterator[dict[str, Any]]:
    name, splits = config.card.id, "|".join(config.sizes)
    yield {
        "@type": "cr:Field",
        "@id": f"{name}/split",
        "name": f"{name}/split",
        "description": "The split of the image.",
        "dataType": "sc:Text",
        "source": {
            "fileSet": {"@id": _file_set(config)},
            "extract": {"fileProperty": "fullpath"},
            # Of a path, or of what was found in it: mlcroissant applies it twice when it selects by split.
            "transform": {"regex": rf"(?:{name}/)?({splits})(?:-.+\.parquet)?$"},
        },
        "references": {"field": {"@id": SPLIT_NAME}},
    }
    for column, feature in config.features.items():
        yield _field(config, column, feature)


def _field(config: Config, column: str, feature: Any) -> dict[str, Any]:
    """Describe one column; a list of structs (boxes) is a repeated field with one part per member."""
    source = {"fileSet": {"@id": _file_set(config)}, "extract": {"column": column}}
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{config.card.id}/{column}",
        "name": f"{config.card.id}/{column}",
        "description": _meaning(config, column),
    }
    if isinstance(feature, list):
        parts = [
            {
                "@type": "cr:Field",
                "@id": f"{config.card.id}/{column}/{name}",
                "name": f"{config.card.id}/{column}/{name}",
                "dataType": _TYPES[inner["dtype"]],
                "source": source | {"transform": {"jsonPath": name}},
            }
            for name, inner in feature[0].items()
        ]
        return field | {"repeated": True, "subField": parts}
    if feature["_type"] == "Sequence":
        return field | {"repeated": True, "dataType": _type(feature["feature"]), "source": source}
    if feature["_type"] == "Image":
        source |= {"transform": {"jsonPath": "bytes"}}
    return field | {"dataType": _type(feature), "source": source}


def _type(feature: Any) -> str:
    if feature["_type"] == "Image":
        return "sc:ImageObject"
    return "sc:Integer" if feature["_type"] == "ClassLabel" else _TYPES[feature["dtype"]]


def _meaning(config: Config, column: str) -> str:
    card = config.card
    for task in card.tasks:
        if task.column == column:
            labels = ", ".join(f"{number}: {label}" for number, label in enumerate(task.labels))
            return f"Task {task.name} ({task.kind}). {labels}."
    known = {annotation.column: annotation.description.strip() for annotation in card.annotations}
    known |= dict.fromkeys(card.masks, "Mask; white is foreground.")
    known |= {
        "image": f"The image, {config.size}x{config.size} pixels.",
        "subject_id": f"The {card.subject}." if card.subject else "Empty: the source does not identify subjects.",
        "original_split": "The split in the source.",
        "original_filepath": "Path of the image in the source.",
        "index": "The published image number.",
    }
    return known.get(column, "Not described in this version of the catalogue.")
