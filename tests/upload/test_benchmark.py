"""The dataset as a benchmark: eval.yaml, reports of models, leaderboards, and what changed between releases."""

from __future__ import annotations

import random

import huggingface_hub
import pytest
import yaml
from huggingface_hub import HfApi

import medimeta
from fakes.hub import Hub
from fakes.publishing import REPO, build_folder, in_this_process, other_client, publish, without_waiting
from medimeta.builders.hub import repository as remote
from medimeta.cards.benchmark import BENCHMARK, check_benchmark, render_benchmark, task_id, task_of
from medimeta.cards.card import Config
from medimeta.cli.app import main
from medimeta.errors import MedIMetaError, PushRefused, SourceNotFound, UnknownName
from medimeta.learn.evaluation import hub_results
from medimeta.learn.evaluation.results import FULL_SUPERVISION, Measured, Result
from medimeta.upload.benchmark import parse, read_leaderboard, send_report
from medimeta.upload.verify.releases import compare_releases

if not hasattr(huggingface_hub, "parse_eval_result_entries"):
    pytest.skip("this huggingface_hub knows no evaluation results", allow_module_level=True)

TASKS = [task for card in medimeta.DATASETS.values() for task in card.tasks]
SIZES = {split: {"num_examples": 1, "num_bytes": 1, "download_size": 1} for split in ("train", "test")}
CONFIGS = [Config(card, {}, SIZES, "released", "source") for card in medimeta.DATASETS.values()]


def result(task, value, *, seed=0, **about):
    given = {"protocol": FULL_SUPERVISION, "method": "probe", "model": "vit", "split": "test"} | about
    return Result(
        dataset=task.dataset,
        task=task.name,
        kind=task.kind,
        metrics={"auroc": Measured(value, value - 0.01, value + 0.01)},
        interval="bootstrap",
        images=100,
        fingerprint={},
        seed=seed,
        **given,
    )


@pytest.fixture
def hub(tmp_path, monkeypatch):
    without_waiting(monkeypatch, lfs=True)
    with Hub(tmp_path / "server") as server, other_client():
        in_this_process(monkeypatch, server)
        remote.fetch.cache_clear()
        yield server
        remote.fetch.cache_clear()


def test_the_file_names_every_task_and_is_valid():
    text = render_benchmark(CONFIGS, "0")

    assert check_benchmark(text) == [task_id(task) for task in TASKS]
    assert len(TASKS) == 54
    content = yaml.safe_load(text)
    assert content["evaluation_framework"] == "mteb"
    assert content["tasks"][0] == {"id": task_id(TASKS[0]), "config": TASKS[0].dataset, "split": "test"}
    assert [task_of(task_id(task)) for task in TASKS] == TASKS
    with pytest.raises(UnknownName, match=r"bus\.malignancy"):
        task_of("bus.malignant")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": None}, "name"),
        ({"evaluation_framework": "ours"}, "evaluation_framework"),
        ({"tasks": []}, "tasks"),
        ({"tasks": [{"config": "bus"}]}, r"tasks\.0\.id"),
        ({"tasks": [{"id": "a"}, {"id": "a"}]}, "twice"),
        ({"tasks": [{"id": "a", "metric": "auroc"}]}, "metric"),
        ({"tasks": [{"id": "a", "scorers": [{"name": "choice"}]}]}, "inspect-ai only"),
    ],
)
def test_a_wrong_field_is_named(change, words):
    content = yaml.safe_load(render_benchmark(CONFIGS, "0")) | change
    with pytest.raises(MedIMetaError, match=words):
        check_benchmark(yaml.safe_dump(content))


def test_a_report_makes_the_round_trip_through_the_parser_of_the_client():
    results = [result(task, 0.5 + number / 200) for number, task in enumerate(TASKS)]

    entries = huggingface_hub.parse_eval_result_entries(
        yaml.safe_load(hub_results.render(results, REPO, revision="abc", source="https://example.org/logs"))
    )

    assert [entry.task_id for entry in entries] == [task_id(task) for task in TASKS]
    assert [entry.value for entry in entries] == pytest.approx([0.5 + number / 200 for number in range(54)])
    assert {(entry.dataset_id, entry.dataset_revision) for entry in entries} == {(REPO, "abc")}
    assert "95% interval" in entries[0].notes


def test_seeds_are_averaged_and_incomplete_data_are_named():
    seeds = [result(TASKS[0], value, seed=seed, settings={"partial": True}) for seed, value in enumerate((0.6, 0.8))]

    (entry,) = parse(hub_results.render(seeds, REPO))

    assert entry.value == pytest.approx(0.7)
    assert "mean of 2 runs" in entry.notes
    assert "INCOMPLETE DATA" in entry.notes


def test_what_is_not_for_leaderboards_is_refused():
    with pytest.raises(MedIMetaError, match="split validation"):
        hub_results.render([result(TASKS[0], 0.5, split="validation")], REPO)
    with pytest.raises(MedIMetaError, match="different methods"):
        hub_results.render([result(TASKS[0], 0.5), result(TASKS[0], 0.6, method="knn")], REPO)


def test_three_models_fill_the_leaderboards_of_54_tasks(hub, tmp_path, capsys):
    hub.create(REPO)
    hub.commit(REPO, {BENCHMARK: render_benchmark(CONFIGS, "0").encode()})
    rng = random.Random(0)
    values = {}
    for model in ("ns/resnet", "ns/dino", "ns/other"):
        hub.create(model)
        for task in TASKS:
            values[task_id(task), model] = value = round(rng.uniform(0.5, 1), 4)
            folder = tmp_path / "results" / model / task_id(task)
            result(task, value).save(folder / "result.json")
        arguments = ["report", model, "--from", str(tmp_path / "results" / model), "--benchmark", REPO]
        with pytest.raises(SystemExit) as ended:
            main([*arguments, *(["--create-pr"] if model == "ns/other" else [])])
        assert not ended.value.code
    hub.commit("ns/dino", {".eval_results/strange.yaml": b"- dataset: {id: ns/medimeta}\n  value: 3\n"})

    board = read_leaderboard(REPO)

    assert {(entry.task, entry.model): entry.value for entry in board} == pytest.approx(values)
    assert list(dict.fromkeys(entry.task for entry in board)) == [task_id(task) for task in TASKS]
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["leaderboard", REPO])
    shown = capsys.readouterr().out
    assert "54 task(s), 3 model(s)" in shown
    assert shown.count("*") >= 54
    with pytest.raises(SystemExit):
        main(["leaderboard", REPO, "--task", "bus.malignancy"])
    best = max(("ns/resnet", "ns/dino", "ns/other"), key=lambda model: values["bus.malignancy", model])
    table = capsys.readouterr().out.split("\n")
    assert next(line for line in table if "ns/" in line).split()[1] == best


def test_the_hub_says_what_is_missing(hub, monkeypatch):
    hub.create("ns/plain")
    with pytest.raises(SourceNotFound, match=r"no eval\.yaml"):
        read_leaderboard("ns/plain")
    with pytest.raises(SourceNotFound, match="no model repository"):
        send_report("ns/nope", hub_results.FILE, "[]\n", create_pr=False)
    with pytest.raises(PushRefused, match="not the name of a repository"):
        send_report("nope", hub_results.FILE, "[]\n", create_pr=False)


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    home = tmp_path_factory.mktemp("releases")
    first = build_folder(home / "1", {"bus": 4, "pbc": 2})
    second = build_folder(home / "2", {"bus": 5, "crc": 2})
    return first, second


def test_a_diff_names_what_changed(releases, hub):
    for folder, tag in zip(releases, ("v1", "v2"), strict=True):
        publish(hub, folder, tag=tag, remove=("pbc",) if tag == "v2" else ())
    assert BENCHMARK in hub.files(REPO)
    assert check_benchmark(hub.files(REPO)[BENCHMARK])

    old, new = (remote.hub_folder(f"{REPO}@{tag}") for tag in ("v1", "v2"))
    found = compare_releases(old, new)

    assert (found.added, found.removed, found.unchanged) == (("crc",), ("pbc",), ())
    (bus,) = found.changed
    assert (bus.only_here.rows, bus.only_there.rows) == (3, 0)
    assert "`crc`: new dataset" in found.summary()
    assert "3 row(s) added" in found.summary()
    assert compare_releases(new, new).equal
    with pytest.raises(SystemExit) as ended:
        main(["diff", f"{REPO}@v1", f"{REPO}@v2", "--only", "bus"])
    assert ended.value.code == 1


def test_another_order_of_the_same_rows_is_no_change(releases, tmp_path):
    from medimeta.builders.locate import open_source
    from medimeta.builders.source import Options
    from medimeta.upload.folder.writing import build

    build(open_source("bus", releases[0], Options(partial=True)), tmp_path / "hub", version="0", order="published")

    found = compare_releases(releases[0], tmp_path / "hub", ["bus"])

    assert found.equal
    assert found.unchanged == ("bus",)


def test_the_client_itself_reads_the_leaderboard(hub):
    hub.create(REPO)
    hub.create("ns/resnet")
    text = hub_results.render([result(TASKS[0], 0.75)], REPO)
    send_report("ns/resnet", hub_results.FILE, text, create_pr=False, api=HfApi(hub.url, hub.token))

    (row,) = HfApi(hub.url, hub.token).get_dataset_leaderboard(REPO)

    assert (row.rank, row.model_id, row.value) == (1, "ns/resnet", 0.75)
