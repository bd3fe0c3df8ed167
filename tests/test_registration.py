"""`datasets.load_dataset("medimeta", ...)` works however and whenever both packages are imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.tiers import quick
from medimeta.builders.phantoms import write_miniature

ROOT = Path(__file__).parents[1]
LOAD = """
def load():
    from datasets import get_dataset_config_names, load_dataset
    assert "bus" in get_dataset_config_names("medimeta")
    rows = load_dataset("medimeta", "bus", data_dir=RAW, partial=True)
    assert sum(map(len, rows.values())) == 12, rows
"""
CASES = {
    "medimeta alone does not import datasets": """
        import medimeta, sys
        medimeta.DATASETS["bus"], medimeta.cite("bus"), medimeta.tasks()
        assert not {"datasets", "pandas", "pyarrow", "torch"} & set(sys.modules)
    """,
    "datasets first": "import datasets, medimeta; load()",
    "medimeta first": "import medimeta, datasets; load()",
    "a function of datasets first": """
        from datasets import load_dataset
        import medimeta
        assert len(load_dataset("medimeta", "bus", data_dir=RAW, partial=True, split="test"))
    """,
    "a part of datasets first": "import datasets.load, medimeta; load()",
    "medimeta, then a part of datasets": "import medimeta, datasets.features; load()",
    "only a module below": "from medimeta.cards.catalogue import DATASETS; load()",
    "registered again": """
        import medimeta
        from medimeta.builders.registration import register
        register(); import datasets; register(); register()
        factory = datasets.load.dataset_module_factory
        assert factory is datasets.inspect.dataset_module_factory
        assert not hasattr(factory.__wrapped__, "medimeta"), "wrapped twice"
        load()
    """,
    "reloaded": """
        import importlib, medimeta
        importlib.reload(medimeta); load()
        import datasets
        importlib.reload(medimeta); load()
        importlib.reload(datasets); load()
        assert medimeta.load_dataset("bus", data_dir=RAW, partial=True, split="test")
    """,
    "datasets.load reloaded, then medimeta": """
        import datasets, importlib, medimeta
        importlib.reload(datasets.load)
        importlib.reload(medimeta); load()
    """,
    "as cells of a notebook": """
        cells = ["import medimeta", "from datasets import load_dataset", "load()"]
        scope = {"load": load}
        for cell in cells:
            exec(compile(cell, "<cell>", "exec"), scope)
    """,
    "datasets is being imported by another thread": """
        import importlib, sys, threading, time
        slow = threading.Thread(target=importlib.import_module, args=["datasets"])
        slow.start()
        while "datasets" not in sys.modules:
            time.sleep(0.0001)
        assert not hasattr(sys.modules["datasets"], "load_dataset"), "imported already"
        import medimeta
        slow.join(); load()
    """,
    "many threads import both": """
        import importlib, threading
        start = threading.Barrier(8)
        faults = []
        def work(number):
            start.wait()
            try:
                for name in ("medimeta", "datasets")[:: 1 if number % 2 else -1]:
                    importlib.import_module(name)
            except BaseException as error:
                faults.append(error)
        threads = [threading.Thread(target=work, args=[n]) for n in range(8)]
        [thread.start() for thread in threads]; [thread.join() for thread in threads]
        assert not faults, faults
        load()
    """,
    "two processes": """
        import medimeta
        one = medimeta.load_dataset("bus", data_dir=RAW, partial=True, num_proc=2)
        load()
    """,
    "an old datasets says so, where it is used": """
        import datasets, medimeta
        datasets.__version__ = "2.14.7"
        for use in (lambda: datasets.load_dataset("medimeta", "bus"), lambda: medimeta.load_dataset("bus")):
            try:
                use()
            except medimeta.MedIMetaError as error:
                assert isinstance(error, ImportError)
                assert "3.6 or newer, not 2.14.7" in str(error) and "pip install" in str(error), error
            else:
                raise AssertionError("accepted")
    """,
}


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return write_miniature("bus", tmp_path_factory.mktemp("raw"), per_class=4)


def run(script, raw, folder):
    """Run a script in a new interpreter, where only the layout of the package is on the path."""
    lines = "\n".join(line.removeprefix("        ") for line in script.strip("\n").splitlines())
    # A main guard: spawned workers import the script.
    body = "\n".join(f"    {line}" for line in lines.splitlines())
    (folder / "script.py").write_text(f"RAW = {str(raw)!r}\n{LOAD}\nif __name__ == '__main__':\n{body}\n")
    places = {"PYTHONPATH": str(ROOT / ".editable"), "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, "-P", "script.py"],
        cwd=folder,
        env=os.environ | places,
        capture_output=True,
        text=True,
        timeout=300,
    )


QUICK = (
    "medimeta alone does not import datasets",
    "datasets first",
    "medimeta first",
    "registered again",
    "datasets is being imported by another thread",
)


@pytest.mark.parametrize("case", quick(*QUICK, of=CASES))
def test_the_name_is_known(case, raw, tmp_path):
    done = run(CASES[case], raw, tmp_path)

    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_spawned_workers_know_the_name(raw, tmp_path):
    (tmp_path / "work.py").write_text(
        f"RAW = {str(raw)!r}\n{LOAD}\ndef work(_):\n    import medimeta\n    load()\n    return True\n"
    )
    script = """
        import multiprocessing, sys
        sys.path.append(".")
        import work
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            assert pool.map(work.work, range(2)) == [True, True]
    """
    done = run(script, raw, tmp_path)

    assert done.returncode == 0, done.stderr
