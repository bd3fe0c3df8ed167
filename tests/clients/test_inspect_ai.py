"""inspect-ai asks the questions of a built folder, offline, with its mock model."""

from __future__ import annotations

import random

import pytest
from scipy.stats import binomtest

from fakes.publishing import build_folder
from medimeta.upload.folder.writing import write_card
from medimeta.upload.questions.configs import write_questions

pytestmark = pytest.mark.clients
pytest.importorskip("inspect_ai", reason="inspect-ai is not installed")


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = build_folder(tmp_path_factory.mktemp("hub"), {"bus": 40, "cxr": 12})
    for dataset in ("bus", "cxr"):
        write_questions(folder, dataset, 0)
    write_card(folder, "0")
    return folder


def asked(row):
    """The sample of a row, as the documentation shows it."""
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ChatMessageUser, ContentImage, ContentText

    content = [ContentText(text=row["question"])]
    if "image_uri" in row:
        content.append(ContentImage(image=row["image_uri"]))
    return Sample(id=row["id"], input=[ChatMessageUser(content=content)], choices=row["choices"], target=row["answer"])


def accuracy(samples, reply, home):
    """Right answers and their number, of a mock model that replies as told."""
    from inspect_ai import Task
    from inspect_ai import eval as run
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import choice
    from inspect_ai.solver import multiple_choice

    def output(messages, tools, tool_choice, config):
        done = ModelOutput.from_content("mockllm/model", f"ANSWER: {reply(messages)}")
        done.usage = ModelUsage()  # otherwise inspect-ai downloads a tokenizer to count
        return done

    model = get_model("mockllm/model", custom_outputs=output, memoize=False)
    task = Task(dataset=samples, solver=multiple_choice(), scorer=choice())
    (log,) = run(task, model=model, log_dir=str(home), display="none")
    assert log.status == "success", log.error
    scores = [next(iter(sample.scores.values())).value for sample in log.samples]
    return scores.count("C"), len(scores)


@pytest.mark.parametrize("config", ["bus_mcq_seed0", "bus_mcq_blind_seed0", "cxr_mcq_seed0"])
def test_a_model_that_guesses_scores_chance(hub, config, tmp_path):
    from inspect_ai.dataset import hf_dataset

    samples = hf_dataset(str(hub), name=config, split="test", sample_fields=asked)
    guess = random.Random(0)
    fewest = min(len(sample.choices) for sample in samples)

    right, count = accuracy(samples, lambda messages: guess.choice("ABCD"[:fewest]), tmp_path)

    chance = sum(1 / len(sample.choices) for sample in samples) / count
    assert binomtest(right, count, chance).pvalue > 1e-3


def test_a_model_that_always_says_one_letter_scores_chance(hub, tmp_path):
    from inspect_ai.dataset import hf_dataset

    samples = hf_dataset(str(hub), name="bus_mcq_seed0", split="test", sample_fields=asked)

    right, _ = accuracy(samples, lambda messages: "A", tmp_path)

    assert right == pytest.approx(sum(1 / len(sample.choices) for sample in samples), abs=2)  # letters are balanced


def test_the_image_reaches_the_model(hub, tmp_path):
    from inspect_ai.dataset import hf_dataset

    seen = []

    def look(messages):
        seen.extend(part.image for m in messages for part in m.content if getattr(part, "type", "") == "image")
        return "A"

    samples = hf_dataset(str(hub), name="bus_mcq_seed0", split="test", sample_fields=asked, limit=3)
    accuracy(samples, look, tmp_path)

    assert len(seen) == 3
    assert all(image.startswith("data:image/png;base64,") for image in seen)
