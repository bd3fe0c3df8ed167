"""Models on the Hub: refusals are reported before training, and never with a token."""

from __future__ import annotations

import functools

import pytest
from huggingface_hub import HfApi

import medimeta
from fakes.hub import READ_TOKEN, TOKEN, Fault, Hub
from fakes.publishing import other_client, without_waiting
from medimeta.errors import MedIMetaError
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

    assert "did not let us upload" in shown[0]
    assert "did not let us upload" in shown[2]
    assert "did not let us log in" in shown[1]
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
