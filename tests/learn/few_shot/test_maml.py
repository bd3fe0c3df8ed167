"""Meta-learning: its gradients are right, in both orders, and its parts do what they say."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional
from transformers import ResNetConfig, ResNetForImageClassification, ViTConfig, ViTForImageClassification

from fakes.episodes import FINDINGS, KIND, SICK
from medimeta.learn.encoders.libraries.transformers_models import TransformersBackbone, before_head
from medimeta.learn.encoders.network import Network
from medimeta.learn.encoders.transform import ImageTransform
from medimeta.learn.few_shot import maml
from medimeta.learn.few_shot.problems import losses, outputs_of

SIZE = 8
SMOOTH = "gelu_pytorch_tanh"  # without kinks, so that finite differences mean something
VIT = {"hidden_size": 4, "intermediate_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2, "patch_size": 4}
RESNET = {"embedding_size": 3, "hidden_sizes": [4], "depths": [1], "layer_type": "basic"}


@pytest.fixture(params=["vit", "resnet"])
def learner(request):
    """A few hundred weights in double precision, with rates that all differ."""
    torch.manual_seed(0)
    if request.param == "vit":
        model = ViTForImageClassification(ViTConfig(image_size=SIZE, num_labels=0, hidden_act=SMOOTH, **VIT))
    else:
        model = ResNetForImageClassification(ResNetConfig(num_labels=0, hidden_act=SMOOTH, **RESNET))
    for weight in model.parameters():  # the usual ones are so small that nothing would show
        torch.nn.init.normal_(weight, std=0.5)
    backbone = TransformersBackbone(model.double(), before_head, ImageTransform(SIZE), {})
    learner = maml.MetaLearner(Network(backbone), 0.3, learned=True)
    with torch.no_grad():
        for rate in learner.rates.values():
            rate.mul_(torch.rand_like(rate) + 0.5)
    return learner


def problem(task, seed=0):
    pixels = torch.randn(2, 6, 3, SIZE, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    if task.kind == "multilabel":
        labels = torch.tensor([[0, 1, 1], [1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 0], [1, 0, 1]], dtype=torch.float32)
    else:
        labels = torch.arange(6) % len(task.labels)
    return maml.Problem(task, pixels[0], labels, pixels[1], labels.flip(0))


def query_loss(learner, given, steps):
    """The query loss of the solved episode, by its definition: a copy of the network, moved in place."""
    network = copy.deepcopy(learner.network)
    network.new_head(outputs_of(given.task))
    moved = {name: torch.zeros_like(weight) for name, weight in network.named_parameters()}
    for _ in range(steps):
        network.zero_grad()
        losses(given.task, network(given.support), given.support_labels).mean().backward()
        with torch.no_grad():
            for name, weight in network.named_parameters():
                moved[name] += weight.grad
                weight -= learner.rates[name] * weight.grad
    network.zero_grad()
    loss = losses(given.task, network(given.query), given.query_labels).mean()
    loss.backward()
    return loss.item(), {name: weight.grad for name, weight in network.named_parameters()}, moved


@pytest.mark.parametrize("task", [KIND, SICK, FINDINGS], ids=lambda task: task.kind)
def test_second_order_gradients_equal_finite_differences(learner, task):
    given = problem(task)
    with maml.transductive(learner.network):
        loss, gradients = learner.gradients(given, steps=3, order=2)
        assert loss == pytest.approx(query_loss(learner, given, 3)[0], rel=1e-9)

        random = torch.Generator().manual_seed(1)
        for parameter, gradient in zip(learner.parameters, gradients, strict=True):
            direction = torch.randn(parameter.shape, dtype=torch.float64, generator=random)
            differences = []
            for sign in (1, -1):
                with torch.no_grad():
                    parameter += sign * 1e-5 * direction
                differences.append(sign * query_loss(learner, given, 3)[0])
                with torch.no_grad():
                    parameter -= sign * 1e-5 * direction
            expected = sum(differences) / 2e-5
            assert (gradient * direction).sum().item() == pytest.approx(expected, rel=1e-4, abs=1e-8)


def test_fixed_rates_are_the_learned_ones_that_never_change(learner, tmp_path):
    """mm-MAML and mm-MetaSGD have the same gradients for the weights while all rates are equal."""
    given = problem(KIND)
    fixed = maml.MetaLearner(learner.network, 0.1)
    learned = maml.MetaLearner(learner.network, 0.1, learned=True)
    with maml.transductive(learner.network):
        (loss, gradients), (other_loss, others) = (one.gradients(given, steps=2, order=2) for one in (fixed, learned))

    assert loss == pytest.approx(other_loss, rel=1e-12)
    assert len(gradients) == len(fixed.parameters) == len(fixed.weights) < len(others)
    for mine, theirs in zip(gradients, others, strict=False):
        torch.testing.assert_close(mine, theirs)
    fixed.save_pretrained(tmp_path / "fixed")
    learned.save_pretrained(tmp_path / "learned")
    assert not (tmp_path / "fixed" / maml.RATES).exists()
    assert (tmp_path / "learned" / maml.RATES).exists()


def test_first_order_gradients_follow_their_formula(learner):
    """With the inner gradients g constant: dL/dw is the slope at the solution, dL/drate minus it times the sum of g."""
    given = problem(KIND)
    with maml.transductive(learner.network):
        loss, found = learner.gradients(given, steps=3, order=1)
        expected_loss, slopes, moved = query_loss(learner, given, 3)
        exact = learner.gradients(given, steps=3, order=2)[1]

    assert loss == pytest.approx(expected_loss, rel=1e-9)
    expected = [slopes[name] for name in learner.weights]
    for name, rate in learner.rates.items():
        by_weight = -slopes[name] * moved[name]
        expected.append(by_weight if rate.shape == by_weight.shape else by_weight.sum(0, keepdim=True))
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-7, atol=1e-10)
    assert not all(torch.allclose(mine, other, rtol=0.01) for mine, other in zip(found, exact, strict=True))


def test_the_head_is_new_in_every_episode_and_rates_may_be_others(learner):
    given = problem(KIND)
    with maml.transductive(learner.network):
        start = learner.solve(given, steps=0)
        assert torch.equal(start["head.weight"], torch.zeros(3, learner.network.width).double())
        one = learner.solve(given, steps=1, rates=dict.fromkeys(learner.rates, 0.1))
        pixels = learner.network.features(given.support).detach()

    # At zero every class has the same probability, so the slope of the head is known and that of all below it is zero.
    surplus = functional.one_hot(given.support_labels, 3) - 1 / 3
    torch.testing.assert_close(one["head.weight"], 0.1 * surplus.T.double() @ pixels / 6)
    for name, weight in learner.weights.items():
        assert torch.equal(one[name], weight)


def test_batch_normalisation_is_transductive_and_forgets(learner):
    before = copy.deepcopy(learner.network.state_dict())
    given = problem(KIND)
    with maml.transductive(learner.network):
        learner.gradients(given, steps=2, order=2)
        one, two = learner.network.features(given.query), learner.network.features(given.query[:3])
    assert not any(module.training for module in learner.network.modules())
    for name, value in learner.network.state_dict().items():
        assert torch.equal(value, before[name])

    alike = torch.allclose(one[:3], two)
    assert alike == (learner.network.model.network.config.model_type == "vit")  # a ViT looks at each image on its own
