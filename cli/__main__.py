"""`python -m medimeta`."""

from __future__ import annotations

from medimeta.cli.app import main

if __name__ == "__main__":
    main()
