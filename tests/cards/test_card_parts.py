"""Parts of dataset cards that need no build: licences, bars, charts, and the card of all datasets."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from huggingface_hub import DatasetCard
from PIL import Image

from medimeta.builders.rows import features
from medimeta.builders.source import Options
from medimeta.cards.card import NONE, UNKNOWN, Config, Contents, label_names, render_card, render_licences
from medimeta.cards.catalogue import DATASETS
from medimeta.cards.pictures import Panel, balance_chart
from medimeta.upload.folder.shards import stored_features


def full(card, **more):
    """A complete build of a dataset, as far as its card can tell, with one row of every label."""
    sizes = {split: {"num_examples": n, "num_bytes": n, "download_size": n} for split, n in card.splits.counts.items()}
    counts = {t.column: {name: dict.fromkeys(sizes, 1) for name in label_names(t)} for t in card.tasks}
    contents = Contents(counts, dict.fromkeys(sizes, 1) if card.subject else {})
    columns = stored_features(features(card, Options(with_masks=True)))
    return Config(card, columns, sizes, "released", "computed", contents=contents, version="0.1.0", **more)


def test_one_incomplete_dataset_among_others_is_marked_in_the_table():
    bus, cxr = (full(DATASETS[name], montage="m.png", chart="c.png") for name in ("bus", "cxr"))
    torn = replace(bus, sizes={**bus.sizes, "test": {**bus.sizes["test"], "num_examples": 1}})
    text = render_card([torn, cxr], "0.1.0")

    assert "**Incomplete.** `bus` has other numbers of images than published. Do not compare results on\n> it" in text
    assert text.count("**(incomplete)**") == 1
    assert "Breast Ultrasound **(incomplete)** |" in text


def test_the_card_of_all_datasets():
    configs = [full(card, montage="m.png", chart="c.png") for card in DATASETS.values()]
    text = render_card(configs, "0.1.0")

    assert "Incomplete" not in text
    assert DatasetCard(text).data.to_dict()["size_categories"] == ["100K<n<1M"]
    commercial = ", ".join(f"`{name}`" for name in DATASETS.commercial())
    assert f"**Commercial use is allowed** by the stated terms: {commercial}." in text
    entries = re.findall(r"^@\w+\{(.+),$", text, flags=re.MULTILINE)
    keys = {re.search(r"\{(.+?),", e)[1] for c in DATASETS.values() for s in c.sources for e in s.bibtex}
    assert entries[0] == "woerner2025medimeta"
    assert sorted(entries) == sorted({"woerner2025medimeta", *keys})
    for card in DATASETS.values():
        assert all(issue.strip() in text for issue in card.known_issues)
        assert all(
            annotation.description.strip() in text for annotation in card.annotations if not annotation.only_with
        )
        assert card.licence.conflict is None or card.licence.conflict.strip() in text


def test_no_label_is_called_like_the_other_rows_of_a_count():
    assert not [task for task in DATASETS.tasks() if {NONE, UNKNOWN} & set(task.labels)]


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_stated_licence_is_never_looser_than_a_sources(dataset):
    card = DATASETS[dataset]
    told = render_licences([full(card)], "0.1.0")
    row = next(line for line in told.splitlines() if line.startswith(f"| `{dataset}` |"))
    _, stated, commercial, passed_on, terms = [cell.strip() for cell in row.strip("|").split("|")]

    assert stated == card.licence.id
    for source in card.sources:
        assert source.licence_text.strip() in terms
        assert (commercial == "yes") <= source.commercial
        assert (passed_on == "yes") <= source.redistribution
        for condition in ("BY", "NC", "SA", "ND"):
            assert (condition in source.licence.split("-")) <= (condition in stated.split("-"))
    assert card.licence.commercial <= ("NC" not in stated.split("-"))


def blue(data):
    """Number of pixels of the training split's colour."""
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    return int((np.abs(pixels - (0, 114, 178)).sum(axis=2) < 20).sum())


def test_bars_are_as_long_as_the_shares():
    def chart(**counts):
        rows = [(name, {"train": count, "test": 0}) for name, count in counts.items()]
        return balance_chart([Panel("task", rows)], {"train": 100, "test": 10})

    text = blue(chart(whole=0, half=0))
    whole, both = (blue(chart(whole=100, half=half)) - text for half in (0, 50))

    assert 1.45 < both / whole < 1.6


def test_a_chart_of_names_that_the_font_lacks_or_that_are_long():
    names = ["Mild – NPDR", "Ménière’s 病", "a very long name " * 12, "unbroken" * 12]

    picture = Image.open(io.BytesIO(balance_chart([Panel("t", [(n, {"train": 1}) for n in names])], {"train": 4})))

    assert picture.size[0] == 1600
