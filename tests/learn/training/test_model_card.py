"""Models on the Hub: refusals are reported before training, and never with a token."""

from __future__ import annotations

import functools

import pytest
import yaml
from huggingface_hub import HfApi, ModelCard, parse_eval_result_entries

import medimeta
from fakes.hub import READ_TOKEN, TOKEN, Fault, Hub
from fakes.publishing import other_client, without_waiting
from medimeta.errors import MedIMetaError
from medimeta.learn.evaluation.results import FULL_SUPERVISION, Measured, Result
from medimeta.learn.training import model_card

TASKS = [medimeta.DATASETS["bus"].task("malignancy")]


def test_messages_of_the_hub_never_repeat_the_token(tmp_path, monkeypatch):
    without_waiting(monkeypatch, lfs=True)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "README.md").write_text("# A model\n")

    def message_of(call):
        with pytest.raises(MedIMetaError, match="Log in with a token that may write") as caught:
            call()
        assert caught.value.__cause__ is None
        return str(caught.value)

    with Hub(tmp_path / "server") as hub, other_client():
        monkeypatch.setattr(model_card, "HfApi", functools.partial(HfApi, endpoint=hub.url, token=READ_TOKEN))
        shown = [message_of(lambda: model_card.push(tmp_path / "model", "ns/vit"))]
        hub.fail(Fault("status", times=10_000, status=400))  # its message repeats the token
        shown += [message_of(lambda: model_card.check_hub("ns/vit-{dataset}", TASKS))]
        monkeypatch.setattr(model_card, "HfApi", functools.partial(HfApi, endpoint=hub.url, token=TOKEN))
        shown += [message_of(lambda: model_card.push(tmp_path / "model", "ns/vit"))]

    assert "Cannot upload" in shown[0]
    assert "Cannot upload" in shown[2]
    assert "Cannot log in" in shown[1]
    assert not any(token in text for token in (TOKEN, READ_TOKEN) for text in shown)
    assert hub.repos == {}


def test_a_trained_model_survives_faults_on_its_way(tmp_path, monkeypatch):
    waits = without_waiting(monkeypatch, lfs=True)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "README.md").write_text("---\nlicense: mit\n---\n# A model\n")

    with Hub(tmp_path / "server") as hub, other_client():
        monkeypatch.setattr(model_card, "HfApi", functools.partial(HfApi, endpoint=hub.url, token=TOKEN))
        places = "POST .*create", "POST .*preupload", "POST .*commit"
        hub.fail(*(Fault("status", where, times=2, status=503) for where in places))
        model_card.push(tmp_path / "model", "ns/vit")
        (pushed,) = hub.repos.values()

    assert len(waits) >= 6
    assert "README.md" in pushed.resolve("main").files


def measured(**settings):
    task = TASKS[0]
    return Result(
        dataset=task.dataset,
        task=task.name,
        kind=task.kind,
        split="test",
        protocol=FULL_SUPERVISION,
        method="fine-tuning",
        model="google/vit-base-patch16-224",
        metrics={"auroc": Measured(0.9, 0.8, 0.95), "accuracy": Measured(0.8)},
        interval="bootstrap",
        images=100,
        fingerprint={},
        settings={"lr": 1e-4, "model": "google/vit-base-patch16-224"} | settings,
    )


def test_a_model_trained_on_a_repository_reports_to_its_leaderboard(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    model_card.write_card(tmp_path, [measured()], repo="me/vit", data_dir="ns/medimeta@v1.0.0")

    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.datasets == ["ns/medimeta"]
    assert card.data.base_model == "google/vit-base-patch16-224"
    assert card.data.license == "other" or card.data.license.startswith("cc")
    assert "* lr: 0.0001" in card.text
    assert 'from_pretrained("me/vit")' in card.text
    assert "Incomplete" not in card.text
    (entry,) = parse_eval_result_entries(yaml.safe_load((tmp_path / ".eval_results" / "medimeta.yaml").read_text()))
    assert (entry.dataset_id, entry.task_id, entry.value) == ("ns/medimeta", "bus.malignancy", 0.9)
    assert entry.dataset_revision == "v1.0.0"


def test_a_card_says_so_when_data_were_incomplete(tmp_path):
    model_card.write_card(tmp_path, [measured(partial=True)], data_dir=str(tmp_path))

    assert "**Incomplete data.**" in (tmp_path / "README.md").read_text()
    assert not (tmp_path / ".eval_results").exists()
