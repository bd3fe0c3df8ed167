"""Meta-training on miniatures: it continues where it stopped, and reports early what it cannot do."""

from __future__ import annotations

import pytest
import transformers

from fakes.commands import run
from medimeta.builders.phantoms import write_miniature
from medimeta.errors import MedIMetaError
from medimeta.learn.experiments import options as commands
from medimeta.learn.few_shot import meta_training
from medimeta.learn.training import model_card


@pytest.fixture(scope="module")
def where(tmp_path_factory):
    """Arguments for short meta-training on bus, whose validation split has 18 images."""
    home = write_miniature("bus", tmp_path_factory.mktemp("data"), per_class=60)
    where = ["--data-dir", str(home), "--partial", "--cache-dir", str(tmp_path_factory.mktemp("cache"))]
    where += ["--target", "pbc", "--sources", "bus", "--main-only", "--no-augmentation"]
    where += ["--shots", "1", "1", "--queries", "2", "--train-episodes", "8", "--validation-episodes", "2"]
    return [*where, "--inner-steps", "2", "--validation-steps", "4"]


@pytest.mark.slow
def test_interrupted_and_resumed_is_the_same(where, tmp_path, monkeypatch):
    options = [*where, "--tiny", "--epochs", "2", "--output-dir"]
    whole = run("pretrain maml", *options, str(tmp_path / "whole"))

    outer_batch = meta_training.outer_batch

    def interrupted(step, *args, **kwargs):
        if step == 3:  # in the second epoch
            raise KeyboardInterrupt
        return outer_batch(step, *args, **kwargs)

    monkeypatch.setattr(meta_training, "outer_batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("pretrain maml", *options, str(tmp_path / "cut"))
    monkeypatch.setattr(meta_training, "outer_batch", outer_batch)
    resumed = run("pretrain maml", *options, str(tmp_path / "cut"), "--resume")

    assert (resumed["history"], resumed["validation"]) == (whole["history"], whole["validation"])
    monkeypatch.setattr(meta_training, "outer_batch", None)  # what is finished is not trained again
    assert run("pretrain maml", *options, str(tmp_path / "cut"), "--resume") == resumed
    transformers.AutoModel.from_pretrained(tmp_path / "cut" / "model")
    assert "roc_auc" in (tmp_path / "cut" / "model" / "README.md").read_text()


@pytest.mark.slow
def test_tiny_has_defaults_that_fit_miniatures(tmp_path):
    """Episodes are drawn as they are by default; only how long they are trained on is cut short."""
    options = ["--tiny", "--target", "pbc", "--sources", "bus", "--main-only", "--cache-dir", str(tmp_path / "cache")]
    short = ["--epochs", "1", "--epoch-steps", "1", "--validation-steps", "1", "--output-dir", str(tmp_path / "runs")]
    found = run("pretrain maml", *options, *short)

    assert (found["settings"]["shots"], found["settings"]["queries"]) == ((1, 3), 5)
    assert not found["left_out"]["train"]
    assert not found["left_out"]["validation"]
    assert commands.parse("pretrain maml", ["--target", "pbc"]).shots == (1, 10)


@pytest.mark.parametrize(
    ("repository", "message"), [("me/maml", "Cannot log in"), ("me/maml-{dataset}", "not belong to one task")]
)
def test_what_cannot_be_pushed_is_reported_before_training(repository, message, where, tmp_path, monkeypatch):
    class Nobody:
        def whoami(self):
            raise ConnectionError("no one is here")

    monkeypatch.setattr(model_card, "HfApi", Nobody)
    monkeypatch.setattr(meta_training, "source_episodes", None)  # the first thing that takes time
    with pytest.raises(MedIMetaError, match=message):
        run("pretrain maml", *where, "--tiny", "--push-to-hub", repository, "--output-dir", str(tmp_path))
