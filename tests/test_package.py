"""One package in every layout: what it lists, what importing costs, and what a wheel installs."""

from __future__ import annotations

import importlib.util
import os
import pkgutil
import pydoc
import subprocess
import sys
import zipfile
from collections import defaultdict
from pathlib import Path

import pytest

import medimeta
from medimeta import DATASETS
from medimeta.builders.phantoms import write_miniature

ROOT = Path(__file__).parents[1]
_spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
hatch_build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hatch_build)
HEAVY = (
    "torch",
    "transformers",
    "evaluate",
    "sklearn",
    "h5py",
    "pydicom",
    "nibabel",
    "openpyxl",
    "matplotlib",
    "jinja2",
)


def python(*arguments, cwd, **environment):
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light_and_touches_no_network(tmp_path):
    code = (
        "import sys, datasets; before = set(sys.modules); calls = []\n"
        "sys.addaudithook(lambda e, a: calls.append(e) if e in ('socket.connect', 'socket.getaddrinfo') else None)\n"
        "import medimeta; medimeta.DATASETS['bus']\n"
        f"print([name for name in {HEAVY} if name in sys.modules and name not in before], calls)"
    )

    assert python("-c", code, cwd=tmp_path, PYTHONPATH=str(ROOT / ".editable")).strip() == "[] []"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    python("-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    return next(folder.glob("*.whl"))


def test_wheel_holds_one_importable_name(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()

    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"medimeta", "medimeta_hf"}
    page = [f"upload/preview/page.{kind}" for kind in ("html.jinja", "css", "js")]
    needed_files = ("__init__.py", "__main__.py", "py.typed", "cards/bus.yaml", "cards/card.md.jinja", "cli/app.py")
    for needed in (*needed_files, *page):
        assert f"medimeta/{needed}" in names
    assert not [name for name in names if "__pycache__" in name or "/tests/" in name]


def test_wheel_loads_data_and_runs_its_command(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path / "site")
    raw = write_miniature("bus", tmp_path / "raw", per_class=4)
    code = (
        "import medimeta, sys; from datasets import load_dataset\n"
        "assert 'site' in medimeta.__file__, medimeta.__file__\n"
        "print(sum(map(len, load_dataset('medimeta', 'bus', data_dir=sys.argv[1], partial=True).values())))"
    )
    here = tmp_path / "here"
    here.mkdir()
    places = {"PYTHONPATH": str(tmp_path / "site"), "HF_HOME": str(tmp_path / "hf")}

    assert python("-c", code, str(raw), cwd=here, **places).strip() == "12"
    assert python("-m", "medimeta", "list", cwd=here, **places).count("\n") == len(DATASETS)


def modules(package):
    """Names of all modules of a package folder; nothing is imported."""
    found = pkgutil.walk_packages([str(package)], "medimeta.")
    # A bare checkout has more at its top level than the package.
    rooms = (*hatch_build.ROOMS, *(Path(name).stem for name in hatch_build.FILES.values()))
    return sorted(m.name for m in found if m.name.split(".")[1] in rooms and not m.name.endswith("__main__"))


EACH = """
import importlib, sys
medimeta = importlib.import_module("medimeta")
where, names = sys.argv[1], sys.argv[2:]
assert medimeta.__file__.startswith(where), medimeta.__file__
for name in names:
    importlib.import_module(name)
errors = {id(vars(m)["MedIMetaError"]) for m in list(sys.modules.values()) if "MedIMetaError" in (vars(m) or {})}
assert errors == {id(medimeta.MedIMetaError)}, errors
for room in ("builders", "cards", "files", "learn", "upload", "cli", "errors"):
    try:
        importlib.import_module(room)
    except ModuleNotFoundError:
        print(room)
"""


@pytest.mark.parametrize("layout", ["checkout", "editable", "wheel"])
@pytest.mark.slow
def test_each_module_is_imported_by_name_and_once(layout, request, tmp_path):
    rooms = ["builders", "cards", "files", "learn", "upload", "cli", "errors"]
    names = modules(ROOT / ".editable" / "medimeta")
    here, place = tmp_path, ROOT / ".editable"
    if layout == "checkout":
        here = place = ROOT
        rooms = []  # the working directory is on the path, and the rooms are in it
    elif layout == "wheel":
        place = tmp_path / "site"
        with zipfile.ZipFile(request.getfixturevalue("wheel")) as file:
            file.extractall(place)
        assert modules(place / "medimeta") == names
    (tmp_path / "each.py").write_text(EACH)
    path = os.pathsep.join([str(place)] if layout != "checkout" else [str(here)])

    shown = python("-P", "-W", "ignore", str(tmp_path / "each.py"), str(place), *names, cwd=here, PYTHONPATH=path)

    assert len(names) > 100
    assert shown.split() == rooms


def test_public_names():
    assert dir(medimeta) == sorted(medimeta.__all__)
    assert all(getattr(medimeta, name) is not None for name in medimeta.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        medimeta.nothing  # noqa: B018
    scope = {}
    exec("from medimeta import *", scope)
    assert set(medimeta.__all__) <= set(scope)


def test_help_fits_two_screens_and_names_everything():
    shown = pydoc.render_doc(medimeta, renderer=pydoc.plaintext)

    assert len(shown.splitlines()) <= 100
    first = "\n".join(shown.splitlines()[:50])
    assert [name for name in medimeta.__all__ if name not in first] == []
    assert "batch_size" in pydoc.render_doc(medimeta.loader, renderer=pydoc.plaintext)


BASE = """
from importlib.machinery import PathFinder
find = PathFinder.find_spec
missing = {missing!r}
def find_others(name, *args, **options):
    return None if name.partition(".")[0] in missing else find(name, *args, **options)
PathFinder.find_spec = staticmethod(find_others)
import medimeta
assert all(hasattr(medimeta, name) for name in medimeta.__all__)
from medimeta import *
try:
    metric("bus")
except MedIMetaError as error:
    assert isinstance(error, ImportError) and "evaluate" in str(error) and "pip install" in str(error), error
else:
    raise AssertionError
"""


def test_all_names_are_there_without_extras(tmp_path):
    missing = {*HEAVY, "accelerate", "distributed"} - {"jinja2"}
    python("-c", BASE.format(missing=missing), cwd=tmp_path, PYTHONPATH=str(ROOT / ".editable"))


def test_griffe_sees_every_module():
    griffe = pytest.importorskip("griffe")
    package = griffe.load("medimeta", search_paths=[str(ROOT / ".editable")])

    for name in modules(ROOT / ".editable" / "medimeta"):
        assert package[name.removeprefix("medimeta.")].is_module
    assert set(medimeta.__all__) <= set(package.members)


def test_jedi_completes_modules_and_public_names():
    jedi = pytest.importorskip("jedi")
    project = jedi.Project(ROOT / ".editable", added_sys_path=[str(ROOT / ".editable")])

    def complete(code):
        return {completion.name for completion in jedi.Script(code, project=project).complete()}

    assert set(medimeta.__all__) <= complete("import medimeta\nmedimeta.")
    assert set(hatch_build.ROOMS) <= complete("import medimeta.")
    members = defaultdict(set)
    for name in modules(ROOT / ".editable" / "medimeta"):
        folder, _, last = name.rpartition(".")
        members[folder].add(last)
    for folder, names in members.items():
        assert names <= complete(f"from {folder} import "), folder


def test_the_layout_is_made_of_links(tmp_path):
    root = small_checkout(tmp_path)

    assert set(hatch_build.lay_out(root).values()) == {"link"}
    assert set(hatch_build.lay_out(root).values()) == {"link"}, "a second time"
    (root / "cards" / "new.py").touch()
    assert (root / ".editable" / "medimeta" / "cards" / "new.py").exists()


def test_without_links_the_layout_is_made_of_copies(tmp_path, monkeypatch):
    root = small_checkout(tmp_path)
    hatch_build.lay_out(root)

    def refuse(*_, **__):
        raise OSError("A required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    for _ in range(2):
        assert set(hatch_build.lay_out(root).values()) == {"copy"}
        code = "import medimeta.cards; print(medimeta.cards.__file__)"
        shown = python("-c", code, cwd=tmp_path, PYTHONPATH=str(root / ".editable"))
        assert Path(shown.strip()) == root / ".editable" / "medimeta" / "cards" / "__init__.py"
    assert (root / "cards" / "__init__.py").exists(), "the checkout itself is untouched"


def test_windows_without_the_right_to_make_links_gets_junctions(tmp_path, monkeypatch):
    calls = []

    def refuse(*_, **__):
        raise OSError("A required privilege is not held by the client")

    def mklink(command, **_):
        calls.append(command)
        return subprocess.CompletedProcess(command, returncode=0)

    (tmp_path / "cards").mkdir()
    monkeypatch.setattr(Path, "symlink_to", refuse)
    monkeypatch.setattr(hatch_build.os, "name", "nt")
    monkeypatch.setattr(hatch_build.subprocess, "run", mklink)

    assert hatch_build.link(tmp_path / "cards", tmp_path / "place") == "junction"
    assert calls == [["cmd", "/c", "mklink", "/J", str(tmp_path / "place"), str(tmp_path / "cards")]]


def small_checkout(folder):
    """A folder with the entries that the build hook lays out, all empty."""
    for room in hatch_build.ROOMS:
        (folder / "checkout" / room).mkdir(parents=True)
        (folder / "checkout" / room / "__init__.py").touch()
    for name in hatch_build.FILES:
        (folder / "checkout" / name).touch()
    return folder / "checkout"
