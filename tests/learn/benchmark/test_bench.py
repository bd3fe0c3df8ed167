"""`medimeta.bench`: resumed without encoding again, whole in spite of failures, and right."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import ParameterGrid

import medimeta
from fakes.episodes import FINDINGS, KIND, SICK
from medimeta.builders.phantoms import write_miniature
from medimeta.cli.app import main
from medimeta.errors import MedIMetaError
from medimeta.learn.benchmark.cost import IMAGES, PASSES
from medimeta.learn.benchmark.protocols.supervised import Part, answer, probabilities
from medimeta.learn.data.store import folder as stores
from medimeta.learn.encoders.feature_banks import banks
from medimeta.learn.encoders.probe import STRENGTHS, Standardisation
from medimeta.learn.evaluation.results import Result, results

FEW = {"shots": [1, 3], "episodes": 5, "queries": 3, "min_images": None}


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return write_miniature("bus", tmp_path_factory.mktemp("raw"), per_class=25)


class Counted:
    """Means of patches, and the number of images that were asked for."""

    def __init__(self):
        self.images = 0

    def __call__(self, values):
        self.images += len(values)
        return torch.nn.functional.avg_pool2d(values[:, :1], 4).flatten(1)


def counted(name="patches", sha256="0" * 64):
    function = Counted()
    encoder = medimeta.encoder(function, name=name, sha256=sha256, size=16, mean=(0.5,) * 3, std=(0.5,) * 3)
    function.images = 0
    return encoder, function


def run(encoder, raw, out, tasks="bus", **settings):
    return medimeta.bench(encoder, tasks=tasks, data_dir=raw, out=out, partial=True, **{**FEW, **settings})


def test_each_task_and_protocol_has_a_result_with_its_predictions(raw, tmp_path):
    encoder, function = counted()
    done = run(encoder, raw, tmp_path)

    measured = IMAGES * (1 + PASSES)  # to say how long it will take
    assert function.images == 75 + measured  # once, for two tasks, three protocols and episodes
    assert not done.failures
    assert len(done.results) == 2 * (3 + 2 * 2)
    assert {result.protocol for _, result in done.results} == {
        "linear probe", "nearest neighbours", "nearest prototype", "few-shot, 1 shots", "few-shot, 3 shots",
    }  # fmt: skip
    for path, result in done.results:
        assert Result.load(path) == result
        assert path.with_suffix(".predictions.parquet").is_file()
        assert result.metrics["auroc"].low is not None
        assert result.settings["weights_sha256"] == "0" * 64
    chosen = {result.protocol: result.extra for _, result in done.results if result.task == "case category"}
    assert chosen["linear probe"]["strength"] in STRENGTHS
    assert chosen["linear probe"]["images"] == {"train": 52, "validation": 7, "test": 16}
    assert chosen["nearest neighbours"]["neighbours"] in (1, 5, 10, 20, 50)


@pytest.mark.slow
def test_a_second_run_encodes_no_image_and_changes_no_file(raw, tmp_path):
    encoder, function = counted()
    first = run(encoder, raw, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    function.images = 0

    lines = []
    again = run(encoder, raw, tmp_path, say=lines.append)
    assert function.images == 0
    assert again.results == first.results
    assert all("finished before" in line for line in lines[1:])
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before

    more = run(encoder, raw, tmp_path, shots=[1, 2], seeds=[0, 1])  # other shots and seeds
    assert function.images == 0
    assert len(more.results) == 2 * (3 + 2 * 2 * 2)
    for bank in banks.banks():
        bank.delete()
    assert run(encoder, raw, tmp_path).results == first.results  # nothing is needed of deleted features
    assert function.images == 0


@pytest.mark.slow
def test_results_with_other_settings_or_data_are_computed_again(raw, tmp_path):
    encoder, _ = counted()
    ((path, result),) = run(encoder, raw, tmp_path, "bus/malignancy", protocols=["probe"]).results

    content = json.loads(path.read_text())
    for change in ({"settings": {**content["settings"], "gradient": 1}}, {"extra": {**content["extra"], "data": ""}}):
        path.write_text(json.dumps(content | change | {"method": "stale"}))
        ((_, again),) = run(encoder, raw, tmp_path, "bus/malignancy", protocols=["probe"]).results
        assert again == result
    other = write_miniature("bus", tmp_path / "other", per_class=25, seed=1)
    ((_, elsewhere),) = run(encoder, other, tmp_path, "bus/malignancy", protocols=["probe"]).results
    assert elsewhere.extra["data"] != result.extra["data"]
    path.write_text("{")
    (failure,) = run(encoder, raw, tmp_path, "bus/malignancy", protocols=["probe"]).failures
    assert str(path) in failure.reason
    assert path.read_text() == "{"


def test_encoders_of_one_name_do_not_mix(raw, tmp_path):
    same = [counted(sha256=digit * 64)[0] for digit in "01"]
    done = run(same, raw, tmp_path, "bus/malignancy", protocols=["prototype"])

    assert len({path for path, _ in done.results}) == 2
    assert done.table().count("weights_sha256=") == 2


@pytest.mark.slow
def test_what_fails_is_reported_at_the_end_and_the_rest_is_evaluated(raw, tmp_path):
    encoder, _ = counted()
    lines = []
    done = run(
        [f"{tmp_path}/absent.py:f", encoder], raw, tmp_path, ["pbc", "bus/malignancy"], shots=[1, 40], say=lines.append
    )

    assert len(done.results) == 3 + 2
    reasons = {failure.what: failure.reason for failure in done.failures}
    assert set(reasons) == {
        "every task",
        "pbc",
        "bus/malignancy, 40 shots, prototype, seed 0",
        "bus/malignancy, 40 shots, logistic regression, seed 0",
    }
    assert all(str(failure) in lines for failure in done.failures)
    assert all(" ".join(reason.split()) in done.table() for reason in reasons.values())
    assert "4 failed" in repr(done)
    none = run(f"{tmp_path}/absent.py:f", raw, tmp_path)
    assert "every task" in none.table()
    with pytest.raises(MedIMetaError, match=r"absent\.py"):
        none.to_frame()


def test_an_encoder_that_breaks_is_a_failure_too(raw, tmp_path):
    def broken(values):
        if values.any():
            raise RuntimeError("shapes do not match")
        return values.flatten(1)

    encoder = medimeta.encoder(broken, name="b", sha256="0" * 64, size=8, mean=(0.5,) * 3, std=(0.5,) * 3)
    done = run(encoder, raw, tmp_path, "bus/malignancy", protocols=["probe", "knn"])
    assert [failure.reason for failure in done.failures] == ["shapes do not match"] * 2


@pytest.mark.slow
def test_the_frame_and_the_table_hold_every_method(raw, tmp_path):
    done = run([counted()[0], counted("other", "1" * 64)[0]], raw, tmp_path, seeds=[0, 1])

    frame = done.to_frame()
    assert set(frame["task"]) == {"bus / case category", "bus / malignancy"}
    assert len(frame) == 2 * 2 * (3 + 2 * 2)
    assert (frame.loc[frame["protocol"].str.startswith("few-shot"), "runs"] == 2).all()
    text = done.table()
    assert text.count("### ") == 5
    assert "do not compare" not in text
    assert len(results([tmp_path])) == len(done.results)


def test_the_probe_is_chosen_as_with_scikit_learn():
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(3, 30))

    def part(rows):
        labels = rng.integers(0, 3, rows)
        return Part(torch.from_numpy((directions[labels] + 4 * rng.normal(size=(rows, 30))).astype(np.float32)), labels)

    train, validation, test = part(120), part(80), part(200)
    scores, notes = answer("probe", KIND, train, validation, test.features)

    scaled = Standardisation.of(train.features)

    def auroc(strength, of):
        model = LogisticRegression(C=strength, max_iter=5000, tol=1e-8)
        fitted = model.fit(scaled(train.features).numpy(), train.labels)
        return roc_auc_score(of.labels, fitted.predict_proba(scaled(of.features).numpy()), multi_class="ovr")

    best = max(auroc(grid["C"], validation) for grid in ParameterGrid({"C": STRENGTHS[::4]}))
    assert notes["validation_auroc"] >= best - 1e-3
    assert auroc(notes["strength"], validation) == pytest.approx(notes["validation_auroc"], abs=1e-3)
    assert roc_auc_score(test.labels, scores, multi_class="ovr") == pytest.approx(
        auroc(notes["strength"], test), abs=1e-3
    )


@pytest.mark.parametrize("protocol", ["probe", "knn"])
def test_a_validation_split_that_cannot_decide_leaves_the_default(protocol):
    rng = np.random.default_rng(0)
    train = Part(torch.from_numpy(rng.normal(size=(40, 5)).astype(np.float32)), rng.integers(0, 2, 40))
    for labels in (np.zeros(6, np.int64), np.full(6, -1)):
        _, notes = answer(protocol, SICK, train, Part(train.features[:6], labels), train.features)
        assert notes["chosen_by"].startswith("default")
        assert notes.get("strength", notes.get("neighbours")) == pytest.approx({"probe": 1.0, "knn": 20}[protocol])


@pytest.mark.parametrize("protocol", ["probe", "knn", "prototype"])
def test_classes_that_training_lacks_are_named_or_refused(protocol):
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(size=(40, 5)).astype(np.float32))
    two = Part(features, rng.integers(0, 2, 40))
    scores, notes = answer(protocol, KIND, two, two, features)
    assert notes["absent_in_train"] == ["c"]
    assert (scores[:, 2] < scores[:, :2].max(axis=1)).all()
    assert scores.sum(axis=1) == pytest.approx(1)

    labels = (rng.random((40, 3)) < 0.5).astype(np.float32)
    labels[:, 1] = 0
    scores, notes = answer(protocol, FINDINGS, Part(features, labels), Part(features, labels), features)
    assert notes["absent_in_train"] == ["y"]
    assert np.isfinite(scores).all()
    for missing in (np.ones(40, np.int64), np.full(40, -1)):
        with pytest.raises(MedIMetaError, match="no image of"):
            answer(protocol, SICK, Part(features, missing), two, features)


def test_logits_become_probabilities():
    logits = torch.tensor([[0.0, -torch.inf, 0.0]])
    np.testing.assert_allclose(probabilities(KIND, logits), [[0.5, 0, 0.5]])
    np.testing.assert_allclose(probabilities(FINDINGS, logits), [[0.5, 0, 0.5]])
    np.testing.assert_allclose(probabilities(SICK, torch.zeros(2, 1)), [0.5, 0.5])


def test_the_command_prints_its_plan_and_ends_with_the_table(raw, tmp_path, capsys):
    (tmp_path / "models.py").write_text(
        "import medimeta\n"
        "def flat():\n"
        "    form = {'size': 4, 'mean': (0.5,) * 3, 'std': (0.5,) * 3}\n"
        "    return medimeta.encoder(lambda x: x[:, 0].flatten(1), name='flat', sha256='0' * 64, **form)\n"
    )

    def command(*words):
        with pytest.raises(SystemExit) as ended:
            main(["bench", *map(str, words)])
        return ended.value.code, capsys.readouterr()

    common = (f"{tmp_path / 'models.py'}:flat", "--tasks", "bus/malignancy", "--data-dir", raw, "--partial")
    common += ("--out", tmp_path / "results", "--protocols", "prototype")
    code, printed = command(*common, "--list")
    assert code in (0, None)
    assert "bus/malignancy" in printed.out
    assert not (tmp_path / "results").exists()
    assert not stores().exists()

    code, printed = command(*common)
    assert code in (0, None)
    assert "### nearest prototype, test: auroc" in printed.out
    assert "| flat |" in printed.out
    code, printed = command(*common, "--protocols", "few-shot", "--shots", 60)
    assert code == 1
    assert "Failed" in printed.out
    assert command(*common, "--protocols", "nonsense")[0] == 2
    assert command("x", "--tasks", "nonsense")[0] == 2
    assert command()[1].out.startswith("usage: medimeta bench")
