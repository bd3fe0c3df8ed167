"""What can be wrong with a source, each with what to do next."""

from __future__ import annotations

from ..cards.errors import MedIMetaError


class SourceNotFound(MedIMetaError, FileNotFoundError):
    """There is no source where one was expected."""


class SourceIncomplete(MedIMetaError):
    """A source with fewer, more or other files than the published dataset has."""


class SourceBroken(MedIMetaError):
    """A file of the source that cannot be read as what it should be."""


class UnsafeArchive(SourceBroken):
    """An archive whose members would leave their folder or unpack without bound."""


class DownloadFailed(MedIMetaError, OSError):
    """A download that did not end with the right bytes."""


class MissingExtra(MedIMetaError, ImportError):
    """A package that only some sources need is not installed."""


def missing_extra(package: str, extra: str, purpose: str) -> MissingExtra:
    """The error for an optional package that is not installed."""
    return MissingExtra(f"{purpose} needs {package}. Install it with: pip install 'medimeta-hf[{extra}]'")
