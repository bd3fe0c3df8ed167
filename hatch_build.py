"""Build hook: lay the checkout out as one package, `medimeta`, in standard wheels.

In a checkout and in an editable install `medimeta.py` sets `__path__` to its own folder, so the rooms are
subpackages there; a wheel carries them as `medimeta/<room>`, and nothing called `builders` or `upload` reaches
site-packages.
"""

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOMS = ("builders", "cards", "examples", "tasks", "upload")
FILES = {"medimeta.py": "__init__.py", "cli.py": "cli.py", "py.typed": "py.typed"}


class RoomsHook(BuildHookInterface):
    def initialize(self, version, build_data):
        if version == "standard":
            build_data["force_include"] |= {room: f"medimeta/{room}" for room in ROOMS}
            build_data["force_include"] |= {name: f"medimeta/{target}" for name, target in FILES.items()}
