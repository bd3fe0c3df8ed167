"""Results side by side: the table, the numbers, the picture, and what is not to be compared."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from scipy.stats import t

from medimeta.errors import MedIMetaError, UnknownName
from medimeta.learn.evaluation.comparing.comparison import compare
from medimeta.learn.evaluation.comparing.latex import latex
from medimeta.learn.evaluation.comparing.pictures import write_plot
from medimeta.learn.evaluation.comparing.result_table import write_csv
from medimeta.learn.evaluation.measures.bootstrap import describe
from medimeta.learn.evaluation.measures.intervals import Measured
from medimeta.learn.evaluation.results import Result
from medimeta.learn.figures.style import COLOURS


def result(method, value, *, dataset="bus", **changes):
    facts = {
        "dataset": dataset,
        "task": "kind",
        "kind": "binary",
        "split": "test",
        "protocol": "supervised",
        "method": method,
        "model": "net",
        "metrics": {"auroc": Measured(value, value - 0.1, value + 0.1), "mae": Measured(value)},
        "interval": "95 %, bootstrap over 5 subjects, 10 resamples",
        "images": 5,
        "fingerprint": {"labels": dataset},
        "seed": 0,
    }
    return Path(f"{method}-{dataset}.json"), Result(**facts | changes)


TWO = [result("old", 0.7), result("new", 0.8), result("old", 0.6, dataset="crc"), result("new", 0.5, dataset="crc")]


def test_markdown_shows_methods_by_tasks_with_the_best_in_bold():
    (found,) = compare(TWO)

    assert found.markdown() == (
        "### supervised, test: auroc\n\n"
        "| method | bus / kind | crc / kind | mean |\n"
        "|---|--:|--:|--:|\n"
        "| old | 0.700 [0.600, 0.800] | **0.600** [0.500, 0.700] | 0.650 |\n"
        "| new | **0.800** [0.700, 0.900] | 0.500 [0.400, 0.600] | 0.650 |\n\n"
        "* Intervals: 95 %, bootstrap.\n"
    )


def test_for_error_metrics_the_smallest_is_best():
    (found,) = compare(TWO, "mae")

    assert "| old | **0.700** | 0.600 |" in found.markdown()


def test_what_is_missing_stays_empty_and_has_no_mean():
    (found,) = compare(TWO[:3])

    assert "| new | **0.800** [0.700, 0.900] |  |  |" in found.markdown()


def test_protocols_and_splits_are_kept_apart():
    found = compare([*TWO, result("old", 0.9, protocol="few-shot"), result("old", 0.9, split="validation")])

    assert [(one.protocol, one.split) for one in found] == [
        ("few-shot", "test"),
        ("supervised", "test"),
        ("supervised", "validation"),
    ]
    assert "**" not in found[0].markdown()  # one method alone is not the best of anything


def test_protocols_are_in_the_order_of_their_shots():
    found = [result("new", 0.5, protocol=f"{shots} shots") for shots in (10, 5, 20)]

    assert [one.protocol for one in compare(found)] == ["5 shots", "10 shots", "20 shots"]


def test_models_of_one_method_are_distinguished():
    (found,) = compare([result("tuned", 0.7), result("tuned", 0.8, model="big")])

    assert found.methods == ["tuned (net)", "tuned (big)"]


def test_tables_say_where_intervals_may_be_too_narrow():
    few = describe([None] * 5, 10)
    (found,) = compare([result("old", 0.6, interval=few), result("new", 0.7, dataset="pbc")])

    assert any("bus / kind" in note and "pbc" not in note and "too narrow" in note for note in found.notes)
    assert not any("too narrow" in note for note in compare([result("old", 0.6)])[0].notes)


def test_seeds_are_averaged():
    (found,) = compare([result("old", 0.6), result("old", 0.8, seed=1)])

    cell = found.cells["old", "bus / kind"]
    assert cell.measured.value == pytest.approx(0.7)
    assert cell.measured.high == pytest.approx(0.7 + 12.706 * 0.1, abs=1e-3)  # Student's t with one degree of freedom
    assert (cell.runs, cell.test.low, cell.test.high) == (
        2,
        pytest.approx(0.6),
        pytest.approx(0.8),
    )  # ... and the mean interval of the test set
    both = 0.1**2 + (0.1 / 1.96) ** 2  # variances of the mean over seeds and of the test set
    reach = t.ppf(0.975, (both / 0.1**2) ** 2) * both**0.5
    assert (cell.joint.low, cell.joint.high) == (pytest.approx(0.7 - reach), pytest.approx(0.7 + reach))
    assert f"(2 runs; joint [{0.7 - reach:.3f}, {0.7 + reach:.3f}]) |" in found.markdown()
    assert "Several runs" in found.markdown()


def test_runs_with_other_settings_are_called_by_what_differs():
    settings = [{"lr": lr, "steps": 50, "augmentation": a} for lr, a in ((1e-3, True), (1e-4, True), (1e-4, False))]
    runs = [result("tuned", 0.6, settings=one) for one in settings]

    (found,) = compare([*runs, result("tuned", 0.7, settings=settings[0], seed=1), result("other", 0.5)])

    assert found.methods == [
        "tuned, augmentation=True, lr=0.001",
        "tuned, augmentation=True, lr=0.0001",
        "tuned, augmentation=False, lr=0.0001",
        "other",
    ]
    assert found.cells["tuned, augmentation=True, lr=0.001", "bus / kind"].runs == 2


def test_settings_that_differ_between_tasks_or_seeds_are_one_method():
    given = [result("tuned", 0.6, settings={"lr": 1}), result("tuned", 0.6, settings={"lr": 2}, dataset="crc")]

    (found,) = compare([*given, result("tuned", 0.6, settings={"lr": 1, "seed": 1}, seed=1)])

    assert found.methods == ["tuned"]


def test_two_results_of_one_seed_and_settings_are_refused():
    with pytest.raises(MedIMetaError, match=r"old-bus\.json and old-bus\.json are both of old on bus / kind, seed 0"):
        compare([result("old", 0.6), result("old", 0.8)])


def test_an_error_of_zero_is_best():
    (found,) = compare([result("new", 0.0, metrics={"mae": Measured(0.0)}), result("old", 0.2)], "mae")

    assert "| new | **0.000** |" in found.markdown()
    assert "| old | 0.200 |" in found.markdown()


def test_the_number_of_classes_is_in_the_heading():
    def classes(*names, absent=()):
        return {name: {"support": Measured(0 if name in absent else 4)} for name in names}

    (found,) = compare([result("old", 0.6, classes=classes("a", "b", "c")), result("old", 0.6, dataset="crc")])
    assert "| method | bus / kind, 3 classes | crc / kind | mean |" in found.markdown()
    few = result("new", 0.6, classes=classes("a", "b", "c", absent="c"), extra={"absent": ["c"]})
    (found,) = compare([result("old", 0.6, classes=classes("a", "b", "c")), few])
    assert "| method | bus / kind, 2 or 3 classes |" in found.markdown()
    assert "means over labels leave out c," in found.markdown()


def test_an_interval_of_zero_width_is_noted():
    (found,) = compare([result("perfect", 1.0, metrics={"auroc": Measured(1, 1, 1)}), result("old", 0.7)])

    assert "* An interval of zero width" in found.markdown()
    assert "perfect on bus / kind" in found.markdown()


@pytest.mark.parametrize("name", ["a|b", "a\nb", "=HYPERLINK(1)", "+1", "@x", "-a"])
def test_names_break_neither_markdown_nor_a_spreadsheet(name, tmp_path):
    (found,) = compare([result(name, 0.7), result("old", 0.6)])

    lines = found.markdown().splitlines()
    assert [re.sub(r"\\\|", "", line).count("|") for line in lines[2:6]] == [3, 3, 3, 3]
    write_csv([found], tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as file:
        cells = [row["method"] for row in csv.DictReader(file)]
    assert len(cells) == 2
    assert cells[0][0] not in "=+-@"
    assert cells[0].removeprefix("'") == name


def test_methods_on_the_same_several_sets_of_episodes_are_compared():
    """A set per seed, the same for all methods."""
    several = [result(name, 0.9, seed=seed, episodes=f"set {seed}") for name in ("one", "two") for seed in (0, 1)]

    assert "do not compare" not in compare(several)[0].markdown()
    assert "do not compare" in compare(several[:3])[0].markdown()


@pytest.mark.parametrize("changes", [{"fingerprint": {"labels": "other"}}, {"episodes": "abc"}])
def test_different_data_are_pointed_out(changes):
    (found,) = compare([*TWO, result("third", 0.9, **changes)])

    assert "* bus / kind: measured on 2 different sets of rows or episodes; do not compare." in found.markdown()
    assert "crc / kind: measured" not in found.markdown()


def test_an_unknown_metric_is_named():
    with pytest.raises(UnknownName, match="Did you mean 'auroc'"):
        compare(TWO, "aurocs")


def test_csv_and_plot_are_written_whole(tmp_path):
    found = compare([*TWO, result("old", 0.5, dataset="derm", metrics={"auroc": Measured(None)})])

    write_csv(found, tmp_path / "t.csv")
    write_plot(found, tmp_path / "t.png")

    table = pd.read_csv(tmp_path / "t.csv")
    assert len(table) == 5
    assert table.iloc[0][["protocol", "method", "task", "value", "low", "runs"]].tolist() == [
        "supervised",
        "old",
        "bus / kind",
        0.7,
        0.6,
        1,
    ]
    with Image.open(tmp_path / "t.png") as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20)}
    assert {tuple(bytes.fromhex(colour[1:])) for colour in COLOURS[:2]} <= colours  # both methods are drawn
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv", "t.png"]


def test_a_transposed_table_has_tasks_as_rows():
    (found,) = compare(TWO)

    lines = found.markdown(transposed=True).splitlines()
    assert lines[2] == "| task | old | new |"
    assert lines[4] == "| bus / kind | 0.700 [0.600, 0.800] | **0.800** [0.700, 0.900] |"
    assert lines[6] == "| mean | 0.650 | 0.650 |"


@pytest.mark.parametrize("transposed", [False, True])
def test_latex_has_the_same_cells_and_escapes_names(transposed):
    tables = compare([result("50 % & more_", 0.7), result("new", 0.8)])
    text = latex(tables, transposed=transposed)

    assert r"50 \% \& more\_" in text
    assert r"\textbf{0.800} [0.700, 0.900]" in text
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 1
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len({line.replace(r"\&", "").count("&") for line in rows}) == 1
