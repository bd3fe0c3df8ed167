"""What a CLIP-style model is asked: sentences for each label, and for no other."""

from __future__ import annotations

import re

import pytest

import medimeta
from medimeta.errors import MedIMetaError
from medimeta.learn.encoders.prompts import LACKS, SHOWS, Templates, prompts_of, wording_of
from medimeta.learn.episodes.recipe import task_of

EVERY = [task for card in medimeta.DATASETS.values() for task in card.tasks]
PLAIN = Templates((SHOWS,), (LACKS,))


@pytest.mark.parametrize("task", EVERY, ids=lambda task: f"{task.dataset}-{task.column}")
def test_every_label_has_a_phrase_and_sentences_of_its_own(task):
    asked = prompts_of(task)

    assert set(wording_of(task.dataset).phrases[task.name]) == set(task.labels)
    assert len(set(asked.shows)) == len(asked.shows) == len(task.labels)
    assert all(len(set(several)) == len(several) >= 3 for several in asked.shows)
    assert not any(set("_{}") & set(text) for several in asked.shows for text in several)
    assert (asked.lacks is not None) == (task.kind == "multilabel")
    if asked.lacks is not None:
        assert len({*asked.shows, *asked.lacks}) == 2 * len(task.labels)


@pytest.mark.parametrize("dataset", medimeta.DATASETS)
def test_phrases_are_words_and_not_codes(dataset):
    for phrases in wording_of(dataset).phrases.values():
        for phrase in phrases.values():
            assert re.fullmatch(r"[A-Za-z][A-Za-z', -]*", phrase), phrase
            assert not re.search(r"\b[A-Z]{2,}\b", phrase), phrase  # an abbreviation


def test_every_domain_has_its_own_sentences():
    first = {medimeta.DATASETS[task.dataset].domain: prompts_of(task).shows[0][0] for task in EVERY}
    assert len({text.partition(" showing ")[0] for text in first.values()}) == len(medimeta.DATASETS.domains)


def test_an_episode_is_evaluated_on_its_own_classes():
    task = medimeta.DATASETS["pbc"].tasks[0]
    every = prompts_of(task).shows

    assert prompts_of(task_of(task, (1, 4))).shows == (every[1], every[4])


def test_labels_are_described_in_words():
    def asked(dataset, task, label):
        card = medimeta.DATASETS[dataset]
        return prompts_of(card.task(task), PLAIN).shows[card.task(task).labels.index(label)]

    assert asked("aml", "morphological class", "BAS Basophil") == ("a microscope image of a cell showing a basophil",)
    assert asked("cxr", "patient sex", "F") == ("a chest X-ray showing a female patient",)
    assert asked("fundus", "disease labels", "CWS") == ("a retinal fundus photograph showing cotton wool spots",)


def test_templates_are_filled_in_and_averaged_ones_kept_together():
    task = medimeta.DATASETS["oct"].tasks[0]
    asked = prompts_of(task, Templates(shows=("{label}: {task}", "{image}, {label}")))

    assert asked.shows[2] == (f"drusen: {task.name}", "an OCT scan of a retina, drusen")
    assert prompts_of(task, Templates(shows=("{{{label}}}",))).shows[2] == ("{drusen}",)
    assert prompts_of(task).sha256 != asked.sha256


def test_a_prompt_file_replaces_that_of_the_dataset(tmp_path):
    task = medimeta.DATASETS["oct"].task("urgent referral")
    path = tmp_path / "mine.yaml"
    path.write_text("shows: ['{label}!']\ntasks:\n  urgent referral: {'NO': wait, 'YES': hurry}\n")
    assert prompts_of(task, file=path).shows == (("wait!",), ("hurry!",))

    path = tmp_path / "none.yaml"
    path.write_text("image: a scan\n")  # without phrases, "NO" and "YES" are described by the name of the task
    assert prompts_of(task, PLAIN, file=path).shows == (
        ("a scan without urgent referral",),
        ("a scan showing urgent referral",),
    )


@pytest.mark.parametrize(
    "content",
    ["tasks: {urgent: {}}", "tasks: {urgent referral: {MAYBE: x}}", "show: [x]", "- x", "a: [", "shows: ['{x}']"],
)
def test_a_wrong_prompt_file_is_refused(content, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(content)
    with pytest.raises(MedIMetaError):
        prompts_of(medimeta.DATASETS["oct"].task("urgent referral"), file=path)
    with pytest.raises(MedIMetaError, match="absent"):
        prompts_of(medimeta.DATASETS["oct"].tasks[0], file=tmp_path / "absent.yaml")


@pytest.mark.parametrize("template", ["{class}", "{}", "{label", "a }"])
def test_a_template_that_cannot_be_filled_in_is_refused(template):
    for templates in ({"shows": (template,)}, {"lacks": ("fine", template)}):
        with pytest.raises(MedIMetaError, match=r"cannot be filled in .*Its fields are \{image\}"):
            Templates(**templates)
