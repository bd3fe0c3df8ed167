"""Ways to solve an episode: what they give is what solving it by hand gives."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import ViTConfig, ViTForImageClassification

from fakes.episodes import FINDINGS, GRADE, KIND, SICK, TASKS, random_toy
from medimeta.errors import MedIMetaError
from medimeta.learn.encoders.libraries.transformers_models import TransformersBackbone, before_head
from medimeta.learn.encoders.network import Network
from medimeta.learn.encoders.transform import ImageTransform
from medimeta.learn.episodes.recipe import Recipe, task_of
from medimeta.learn.episodes.sampler import sample_episodes
from medimeta.learn.few_shot import adapt as few_shot
from medimeta.learn.few_shot import problems
from medimeta.learn.training.records import Records

BY_KIND = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
RANDOM = Recipe(shots=(1, 4), queries=3, ways="random", subject_disjoint=False)


def drawn(task, n=5, recipe=RANDOM):
    return sample_episodes(random_toy(task, seed=0), task, recipe, n=n, seed=1)


def telling_features(task, rows=400, width=12):
    """Features in which every label has its own direction, and noise."""
    labels = random_toy(task, seed=0)[task.column]
    vectors = np.random.default_rng(0).normal(size=(rows, width)).astype(np.float32)
    for row, label in enumerate(labels):
        vectors[row, label] += 4
    return torch.from_numpy(vectors), {row: row for row in range(rows)}


def small_network():
    torch.manual_seed(0)
    size = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = ViTForImageClassification(ViTConfig(image_size=8, patch_size=4, num_labels=0, **size))
    return Network(TransformersBackbone(model, before_head, ImageTransform(8), {}))


@BY_KIND
def test_probes_solved_together_are_the_same_as_alone(task):
    features, places = telling_features(task)
    episodes = list(drawn(task))
    found = few_shot.linear_probes(task, episodes, features, places, lr=1e-2, steps=(30, 10))

    assert list(found) == [10, 30]
    for number, episode in enumerate(episodes):
        posed = task_of(task, episode.classes)
        head = torch.nn.Linear(12, problems.outputs_of(posed))
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
        optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
        for step in range(1, 31):
            logits = head(features[episode.support])
            problems.losses(posed, logits, torch.from_numpy(episode.support_labels)).mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            if step in found:
                torch.testing.assert_close(found[step][number], head(features[episode.query]).detach())


@BY_KIND
@pytest.mark.parametrize("method", ["probe", "prototype"])
def test_informative_features_solve_episodes(task, method):
    features, places = telling_features(task)
    episodes = list(drawn(task, n=10))
    if method == "probe":
        answers = few_shot.linear_probes(task, episodes, features, places, lr=1e-2, steps=[100])[100]
    else:
        answers = [few_shot.prototypes(task, episode, features, places) for episode in episodes]

    aurocs = []
    for episode, logits in zip(episodes, answers, strict=True):
        posed = task_of(task, episode.classes)
        aurocs.append(problems.measure(posed, logits, episode.query_labels)["auroc"])
    assert np.mean(aurocs) > 0.8


def test_prototypes_by_hand():
    features = torch.tensor([[2.0, 0.0], [4.0, 0.0], [0.0, 2.0], [3.0, 0.5], [-1.0, 1.0]])
    rows = random_toy(SICK, seed=0)
    episode = sample_episodes(rows, SICK, Recipe(shots=2, queries=1, subject_disjoint=False), n=1)[0]
    places = {"support": np.array([0, 1, 2]), "support_labels": np.array([0, 0, 1]), "query": np.array([3, 4])}
    episode = replace(episode, **places)

    found = few_shot.prototypes(SICK, episode, features, {row: row for row in range(5)})

    # Means (3, 0) and (0, 2), their mean (1.5, 1): directions (1.5, -1) and (-1.5, 1), queries (1.5, -0.5), (-2.5, 0).
    norm = np.hypot(1.5, 1)
    cosines = [(1.5 * 1.5 + 0.5) / np.hypot(1.5, 0.5) / norm, (-2.5 * 1.5) / 2.5 / norm]
    assert found[:, 0].tolist() == pytest.approx([-2 * cosine for cosine in cosines], rel=1e-5)


@BY_KIND
def test_fine_tuning_is_adam_on_the_whole_support_set(task):
    posed = task_of(task, range(len(task.labels)))
    network = small_network()
    network.new_head(problems.outputs_of(posed))
    by_hand, parted = copy.deepcopy(network), copy.deepcopy(network)
    pixels, query = torch.randn(6, 3, 8, 8), torch.randn(4, 3, 8, 8)
    labels = torch.arange(6) % len(task.labels)
    if task.kind == "multilabel":
        labels = torch.nn.functional.one_hot(labels, 3).float()

    found = few_shot.fine_tune(network, posed, lambda step: pixels, labels, query, lr=1e-2, steps=[5, 2])
    in_parts = few_shot.fine_tune(parted, posed, lambda step: pixels, labels, query, lr=1e-2, steps=[2, 5], chunk=4)

    optimizer = torch.optim.Adam(by_hand.parameters(), lr=1e-2)
    for step in range(1, 6):
        problems.losses(posed, by_hand(pixels), labels).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        if step in (2, 5):
            torch.testing.assert_close(found[step], by_hand(query).detach(), rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(in_parts[step], found[step], rtol=1e-3, atol=1e-4)
    assert not torch.equal(found[2], found[5])


@BY_KIND
def test_losses_by_their_formula(task):
    logits = torch.tensor([[0.3, -1.0, 2.0], [1.0, 0.5, -0.5]])
    if task.kind == "binary":
        logits = logits[:, :1]
        expected = [-np.log(1 - 1 / (1 + np.exp(-0.3))), -np.log(1 / (1 + np.exp(-1.0)))]
        labels = torch.tensor([0, 1])
    elif task.kind == "multilabel":
        labels = torch.tensor([[1.0, 0, 1], [0, 0, 1]])
        p = 1 / (1 + np.exp(-logits.numpy()))
        expected = -np.log(np.where(labels.numpy() == 1, p, 1 - p)).mean(axis=1)
    else:
        labels = torch.tensor([2, 0])
        p = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(axis=1, keepdims=True)
        expected = [-np.log(p[0, 2]), -np.log(p[1, 0])]

    assert problems.losses(task, logits, labels).tolist() == pytest.approx(list(expected), rel=1e-5)


def test_an_episode_has_the_classes_it_has():
    posed = task_of(GRADE, (0, 2))
    assert (posed.labels, posed.scores, posed.kind) == (("none", "much"), (0, 10), "ordinal")
    assert [problems.outputs_of(task_of(task, (0, 1))) for task in (KIND, GRADE, SICK, FINDINGS)] == [
        2,
        2,
        1,
        2,
    ]
    found = problems.measure(posed, torch.tensor([[2.0, 1.0], [0.0, 1.0]]), np.array([0, 1]))
    assert (found["auroc"], found["mae"]) == (1.0, 0.0)


def test_logits_that_are_not_finite_count_as_guesses():
    found = problems.measure(KIND, torch.full((6, 3), torch.nan), np.arange(6) % 3)
    assert found["auroc"] == 0.5


def test_records_survive_a_kill(tmp_path):
    folder = tmp_path / "done"
    Records.prepare(folder, {"seed": 0}, resume=False)
    records = Records(folder)
    records.add([(("a", 1), {"auroc": 0.5}), (("a", 2), {"auroc": 0.75})])
    with records.path.open("a") as file:
        file.write('[["a", 3], {"aur')  # killed here

    Records.prepare(folder, {"seed": 0}, resume=True)
    again = Records(folder, rank=1)
    again.add([(("a", 3), {"auroc": 1.0})])
    Records(folder).add([(("a", 4), {"auroc": 0.0})])
    assert again.added == [(("a", 3), {"auroc": 1.0})]
    assert {key[1]: value["auroc"] for key, value in Records(folder).known.items()} == {1: 0.5, 2: 0.75, 3: 1.0, 4: 0.0}
    with pytest.raises(MedIMetaError, match="seed was 0, is 1"):
        Records.prepare(folder, {"seed": 1}, resume=True)
    Records.prepare(folder, {"seed": 1}, resume=False)
    assert Records(folder).known == {}
