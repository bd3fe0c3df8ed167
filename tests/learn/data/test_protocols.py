"""Source pools: as published, and never leaky."""

from __future__ import annotations

import pytest

import medimeta
from medimeta import DATASETS
from medimeta.errors import UnknownName
from medimeta.learn.data.protocols import LeakyPool, SourcePool, cross_domain, leave_domain_out

# Datasets that are left out in addition to the target: published, but for the mammography pair's subjects.
LEFT_OUT = {
    "aml": {"pbc"},
    "bus": set(),
    "crc": set(),
    "cxr": {"pneumonia"},
    "derm": {"skinl_derm"},
    "dr_regular": {"dr_uwf", "fundus", "glaucoma"},
    "dr_uwf": {"dr_regular", "fundus", "glaucoma"},
    "fundus": {"dr_regular", "dr_uwf", "glaucoma"},
    "glaucoma": {"dr_regular", "dr_uwf", "fundus"},
    "mammo_calc": {"mammo_mass"},
    "mammo_mass": {"mammo_calc"},
    "oct": set(),
    "organs_axial": {"organs_coronal", "organs_sagittal"},
    "organs_coronal": {"organs_axial", "organs_sagittal"},
    "organs_sagittal": {"organs_axial", "organs_coronal"},
    "pbc": {"aml"},
    "pneumonia": {"cxr"},
    "skinl_derm": {"derm", "skinl_photo"},
    "skinl_photo": {"skinl_derm"},
}


@pytest.mark.parametrize("target", LEFT_OUT)
def test_published_pools(target):
    pool = cross_domain(target)

    assert set(pool.left_out) == LEFT_OUT[target]
    assert pool.datasets == tuple(name for name in DATASETS if name != target and name not in LEFT_OUT[target])
    assert list(pool) == [task for name in pool.datasets for task in DATASETS[name].tasks]
    assert [task.dataset for task in cross_domain(target, main_only=True)] == list(pool.datasets)
    assert all(task.is_main for task in cross_domain(target, main_only=True))


def test_a_pool_is_a_sequence_of_tasks():
    pool = medimeta.cross_domain("oct")

    assert len(pool) == len(DATASETS.tasks()) - 2
    assert pool.targets == ("oct",)
    assert pool[0] == DATASETS["aml"].tasks[0]
    assert pool[0] in pool
    assert pool[:2] == pool.tasks[:2]
    assert len(medimeta.cross_domain("skinl_derm")) == len(DATASETS.tasks()) - 12 - 12 - 1
    assert "subjects of mammo_mass" in cross_domain("mammo_mass").left_out["mammo_calc"]
    assert "domain of aml" in cross_domain("aml").left_out["pbc"]


def test_a_domain_left_out():
    pool = medimeta.leave_domain_out("retinal FUNDUS", main_only=True)

    assert pool.targets == ("dr_regular", "dr_uwf", "fundus", "glaucoma")
    assert len(pool) == len(pool.datasets) == len(DATASETS) - 4
    assert pool.left_out == {}
    skin = leave_domain_out("Dermatoscopy")
    assert skin.targets == ("derm", "skinl_derm")
    assert skin.left_out == {"skinl_photo": "it shows subjects of skinl_derm"}
    for domain in DATASETS.domains:
        assert not {DATASETS[name].domain for name in leave_domain_out(domain).datasets} & {domain}


@pytest.mark.parametrize(
    ("target", "dataset", "words"),
    [
        ("oct", "oct", "the target itself"),
        ("aml", "pbc", "both are Microscopy"),
        ("skinl_photo", "skinl_derm", "their cards overlap: it shows subjects of skinl_photo"),
    ],
)
def test_a_leaky_pool_cannot_be_made(target, dataset, words):
    with pytest.raises(LeakyPool, match=f"{dataset} is in the source pool of {target}, but .*{words}"):
        SourcePool((target,), DATASETS[dataset].tasks, {})


def test_unknown_names():
    with pytest.raises(UnknownName, match="Did you mean 'oct'"):
        cross_domain("octt")
    with pytest.raises(UnknownName, match="Choices: Abdominal CT"):
        leave_domain_out("Brain")
