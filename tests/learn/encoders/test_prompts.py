"""What a CLIP-style model is asked: a sentence for each label, and for no other."""

from __future__ import annotations

import pytest

import medimeta
from medimeta.errors import MedIMetaError
from medimeta.learn.encoders.prompts import IMAGES, Templates, prompts_of
from medimeta.learn.episodes.recipe import task_of

EVERY = [task for card in medimeta.DATASETS.values() for task in card.tasks]


def test_every_domain_has_a_name_for_its_images():
    assert set(IMAGES) == set(medimeta.DATASETS.domains)


@pytest.mark.parametrize("task", EVERY, ids=lambda task: f"{task.dataset}-{task.column}")
def test_every_label_has_a_sentence_of_its_own(task):
    asked = prompts_of(task)

    assert len(set(asked.shows)) == len(asked.shows) == len(task.labels)
    assert all(IMAGES[medimeta.DATASETS[task.dataset].domain] in text for (text,) in asked.shows)
    assert not any(set("_{}") & set(text) for (text,) in asked.shows)
    assert (asked.lacks is not None) == (task.kind == "multilabel")
    if asked.lacks is not None:
        assert len({*asked.shows, *asked.lacks}) == 2 * len(task.labels)


def test_an_episode_is_asked_about_its_own_classes():
    task = medimeta.DATASETS["pbc"].tasks[0]
    every = prompts_of(task).shows

    assert prompts_of(task_of(task, (1, 4))).shows == (every[1], every[4])


def test_labels_are_told_in_words():
    def asked(dataset, task):
        return prompts_of(medimeta.DATASETS[dataset].task(task)).shows

    assert asked("oct", "urgent referral") == (
        ("an OCT scan of a retina without urgent referral",),
        ("an OCT scan of a retina showing urgent referral",),
    )  # whose labels only say no and yes
    assert {text for (text,) in asked("cxr", "patient sex")} == {
        "a chest X-ray showing a female patient",
        "a chest X-ray showing a male patient",
    }


def test_templates_are_filled_in_and_averaged_ones_kept_together():
    task = medimeta.DATASETS["oct"].tasks[0]
    asked = prompts_of(task, Templates(shows=("{label}: {task}", "{image}, {label}")))

    label = task.labels[0].replace("_", " ")
    assert asked.shows[0] == (f"{label}: {task.name}", f"an OCT scan of a retina, {label}")
    assert prompts_of(task, Templates(shows=("{{{label}}}",))).shows[0] == (f"{{{label}}}",)


@pytest.mark.parametrize("template", ["{class}", "{}", "{label", "a }"])
def test_a_template_that_cannot_be_filled_in_is_refused(template):
    for templates in ({"shows": (template,)}, {"lacks": ("fine", template)}):
        with pytest.raises(MedIMetaError, match=r"cannot be filled in .*Its fields are \{image\}"):
            Templates(**templates)
