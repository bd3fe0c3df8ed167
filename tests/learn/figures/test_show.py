"""`medimeta.show`: a labelled grid of images, and the one style of all figures."""

from __future__ import annotations

import itertools

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

import medimeta
from medimeta.errors import MedIMetaError, UnknownName
from medimeta.learn.figures.style import COLOURS, MARKERS, SHEET, look, mark_auroc, styled
from medimeta.upload.folder.miniatures import build_miniatures


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    return build_miniatures(["bus", "cxr"], tmp_path_factory.mktemp("hub"), version="0", per_class=12)


def names(figure):
    return [axes.get_ylabel().partition("\n")[0] for axes in figure.axes if axes.get_ylabel()]


def test_a_row_per_label_with_its_images(hub):
    figure = medimeta.show("bus", data_dir=hub, columns=3)

    assert isinstance(figure, Figure)
    assert names(figure) == ["normal", "benign", "malignant"]
    view = medimeta.load_task("bus", data_dir=hub)
    for label in range(3):
        for axes in figure.axes[3 * label : 3 * label + 3]:
            place = int(axes.get_title().removeprefix("row "))
            assert view[place]["label"] == label
            assert np.array_equal(axes.images[0].get_array(), np.asarray(view[place]["image"]))
    assert figure._repr_png_().startswith(b"\x89PNG")  # notebooks show it


def test_a_view_is_shown_with_its_own_labels(hub):
    view = medimeta.load_task("bus/malignancy", split="test", data_dir=hub)

    assert names(medimeta.show(view)) == list(view.features["label"].names)


def test_many_labels_are_the_most_frequent_ones_and_the_title_says_so(hub):
    figure = medimeta.show("cxr", data_dir=hub, columns=1)

    assert 2 <= len(names(figure)) <= 15
    view = medimeta.load_task("cxr", data_dir=hub)
    assert f"{len(view):,} images" in figure.get_suptitle()
    assert names(medimeta.show(view, "cxr", columns=1)) == names(figure)


def test_mistakes_are_answered(hub):
    with pytest.raises(UnknownName):
        medimeta.show("bus", "malignacy", data_dir=hub)
    with pytest.raises(MedIMetaError, match="columns"):
        medimeta.show("bus", data_dir=hub, columns=0)
    with pytest.raises(MedIMetaError, match="load_task"):
        medimeta.show(medimeta.load_dataset("bus", "train", data_dir=hub))


def test_colours_differ_in_grey_and_each_has_a_marker():
    def lightness(colour):
        red, green, blue = matplotlib.colors.to_rgb(colour)
        return 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2

    for first, second in itertools.pairwise(COLOURS[:4]):
        assert abs(lightness(first) ** 0.4 - lightness(second) ** 0.4) > 0.15
    assert len({look(number) for number in range(len(COLOURS) * len(MARKERS))}) == len(COLOURS) * len(MARKERS)
    with matplotlib.style.context(SHEET):
        assert tuple(entry["color"] for entry in matplotlib.rcParams["axes.prop_cycle"]) == COLOURS


def test_the_style_is_that_of_the_project_whatever_the_user_set():
    with matplotlib.rc_context({"font.size": 40, "axes.grid": False}):
        inside = styled(lambda: (matplotlib.rcParams["font.size"], matplotlib.rcParams["axes.grid"]))()
        assert matplotlib.rcParams["font.size"] == 40

    assert inside == (9, True)


@pytest.mark.parametrize("axis", ["x", "y"])
def test_chance_and_perfect_are_marked(axis):
    axes = Figure().subplots()
    axes.plot([0.7, 0.9], [0.7, 0.9])
    mark_auroc(axes, axis)

    low, high = axes.get_xlim() if axis == "x" else axes.get_ylim()
    at = {line.get_xdata()[0] if axis == "x" else line.get_ydata()[0] for line in axes.lines[1:]}
    assert at == {0.5, 1.0}
    assert low < 0.5
    assert 1 < high < 1.05
