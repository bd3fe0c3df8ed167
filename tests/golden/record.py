"""Record the rows of miniatures: python tests/golden/record.py [ID ...]

An entry is replaced only if the miniature itself is drawn differently. If rows differ, raise a version first: that of
the card, or PIPELINE in builders/keys.py.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fakes.pinned import TABLE, checksums, name_of, recorded
from medimeta.cards.catalogue import DATASETS


def main(datasets: list[str]) -> None:
    entries, refused = recorded(), []
    for dataset in datasets or list(DATASETS):
        with tempfile.TemporaryDirectory() as folder:
            new = checksums(dataset, Path(folder))
        old = entries.get(name_of(dataset))
        if old and old["miniature"] == new["miniature"] and any(old[k] != new[k] for k in new if k != "drawn_with"):
            refused.append(dataset)
        elif not old or old["miniature"] != new["miniature"]:
            entries[name_of(dataset)] = new
    TABLE.write_text(json.dumps(dict(sorted(entries.items())), indent=1) + "\n", encoding="utf-8")
    if refused:
        sys.exit(f"Not recorded, since their rows changed but no version did: {', '.join(refused)}. {__doc__}")


if __name__ == "__main__":
    main(sys.argv[1:])
