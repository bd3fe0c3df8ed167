"""`medimeta push` next to `DatasetDict.push_to_hub`, for the same miniatures of all 19 datasets on the same local Hub.

    python benchmarks/push.py

Both sides use the real client over loopback, with Xet or (`--lfs`) without. Ours checks every row before it sends one
and compares every hash afterwards; that is in its seconds, and its bytes have a card with pictures that `push_to_hub`
does not make. `push_to_hub` has to be called once per dataset. For the changed shard, both are given the dataset that
changed. Printed: commits, requests, bytes sent and seconds.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fakes.hub import Hub

REPO = "ns/medimeta"


class Ours:
    """One call for all."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        from huggingface_hub import HfApi

        self.folder, self.api = folder, HfApi(hub.url, hub.token)

    def push(self, datasets: list[str]) -> None:
        """Send what differs."""
        import medimeta
        from medimeta.upload.push.options import PushOptions
        from medimeta.upload.push.publish import push

        only = () if len(datasets) == len(medimeta.DATASETS) else tuple(datasets)
        push(self.folder, REPO, PushOptions(private=True, only=only), version=medimeta.__version__, api=self.api)


class Stock:
    """One call per dataset; rows are loaded before the clock starts."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        self.folder, self.loaded = folder, dict[str, Any]()

    def load(self, datasets: list[str]) -> None:
        """Read datasets from the Hub folder."""
        from datasets import load_dataset

        cache = tempfile.mkdtemp(dir=self.folder.parent)  # a new one: the old one would give the old rows
        self.loaded |= {name: load_dataset(str(self.folder), name, cache_dir=cache) for name in datasets}

    def push(self, datasets: list[str]) -> None:
        """Convert and send datasets."""
        for name in datasets:
            self.loaded[name].push_to_hub(REPO, config_name=name, private=True)


def measured(hub: Hub, push: Callable[[], None]) -> tuple[int, int, int, float]:
    """Commits, requests, bytes and seconds of a push."""
    before = commits(hub), len(hub.log), hub.sent
    start = time.perf_counter()
    push()
    seconds = time.perf_counter() - start
    return commits(hub) - before[0], len(hub.log) - before[1], hub.sent - before[2], seconds


def commits(hub: Hub) -> int:
    """Commits of releases; the first one is made with the repository."""
    return len(list(hub.repos[REPO].history())) - 1 if REPO in hub.repos else 0


def main() -> None:
    """Measure both sides and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-class", type=int, default=4, help="images per class of each dataset")
    parser.add_argument("--lfs", action="store_true", help="without Xet")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        with Hub(home / "ours") as ours, Hub(home / "stock") as stock:
            # Read when the libraries are imported.
            os.environ |= {"HF_ENDPOINT": stock.url, "HF_TOKEN": stock.token, "HF_HOME": str(home / "hf")}
            os.environ |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": str(int(arguments.lfs))}
            run(ours, stock, home, arguments.per_class)


def run(ours: Hub, stock: Hub, home: Path, per_class: int) -> None:
    """Build, push, push again, change a label, push again."""
    import datasets
    import huggingface_hub

    import medimeta
    from fakes.parquet import set_values
    from medimeta.upload.folder.miniatures import build_miniatures
    from medimeta.upload.folder.writing import write_card

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    huggingface_hub.logging.set_verbosity_error()
    names = list(medimeta.DATASETS)
    folder = build_miniatures(names, home, version=medimeta.__version__, per_class=per_class)
    size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    print(f"{len(names)} datasets, {len(list(folder.rglob('*.parquet')))} shards, {size:,} bytes\n")
    print("| step | side | commits | requests | bytes sent | seconds |")
    print("|---|---|--:|--:|--:|--:|")
    sides = {"medimeta push": (ours, Ours(ours, folder)), "push_to_hub": (stock, Stock(stock, folder))}
    for step, chosen in (("first push", names), ("nothing changed", names), ("one changed shard", ["pbc"])):
        if step == "one changed shard":
            set_values(folder / "pbc" / "train-00000-of-00001.parquet", -1, cell_class=1)
            write_card(folder, medimeta.__version__)
        for side, (hub, pusher) in sides.items():
            if isinstance(pusher, Stock) and step != "nothing changed":
                pusher.load(chosen)
            made, requests, sent, seconds = measured(hub, lambda p=pusher, c=chosen: p.push(c))
            print(f"| {step} | {side} | {made} | {requests} | {sent:,} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
