"""Print the lowest version of each dependency that pyproject.toml allows, as constraints for pip.

python tests/lowest.py [extra ...]
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
for requirement in [*project["dependencies"], *(line for extra in sys.argv[1:] for line in extras[extra])]:
    name, bound = re.fullmatch(r"([\w.-]+)>=([\d.]+)", requirement).groups()
    if name != "torch":  # the machine decides which builds of torch there are
        print(f"{name}=={bound}")
