"""What `medimeta.cite` gives: each entry once, every source named."""

from __future__ import annotations

import re

import pytest

import medimeta
from medimeta.errors import UnknownName

KEY = re.compile(r"^@\w+\{([^,]+),")


def keys(citation):
    return [KEY.match(entry)[1] for entry in citation.bibtex]


def test_one_dataset():
    found = medimeta.cite("bus")

    assert keys(found) == ["woerner2025medimeta", "aldhabyani2020busi"]
    (line,) = found.attribution
    for part in ("bus", "Dataset of breast ultrasound images", "Fahmy", "https://", "CC BY 4.0", "CC-BY-SA-4.0"):
        assert part in line


def test_datasets_of_one_source_share_its_entries():
    found = medimeta.cite("organs_axial", "organs_coronal", "organs_axial")

    assert len(set(keys(found))) == len(keys(found))
    assert set(keys(found)) == set(keys(medimeta.cite("organs_axial"))) | set(keys(medimeta.cite("organs_coronal")))
    cards = [medimeta.DATASETS[name] for name in ("organs_axial", "organs_coronal")]
    assert len(found.attribution) == sum(len(card.sources) for card in cards)
    assert all("no commercial use" in line for line in found.attribution)


def test_all_datasets_by_default_and_no_key_twice():
    found = medimeta.cite()

    assert len(set(keys(found))) == len(keys(found)) > 19
    assert {line.partition(":")[0] for line in found.attribution} == set(medimeta.DATASETS)
    assert found == medimeta.cite(*medimeta.DATASETS)


def test_printed_it_is_a_bibtex_file():
    text = str(medimeta.cite("bus", "crc"))
    assert repr(medimeta.cite("bus", "crc")) == text

    comments = [line for line in text.splitlines() if line.startswith("%")]
    assert len(comments) == 2
    rest = text.replace("\n".join(comments), "")
    assert rest.count("{") == rest.count("}")
    assert len(re.findall(r"^@", rest, flags=re.MULTILINE)) == len(keys(medimeta.cite("bus", "crc")))


def test_an_unknown_dataset_is_named():
    with pytest.raises(UnknownName, match="Did you mean 'bus'"):
        medimeta.cite("buss")
