"""What chgtools raises. Any other exception that reaches a user is a bug."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ChgtoolsError(Exception):
    """Bad input or a job that cannot be done: one sentence with what was found, what was wanted and the mend."""


class FormatError(ChgtoolsError):
    """A file that is damaged or is not what its name says.

    The message starts with ``FILE:LINE:`` (or ``FILE:`` where no line applies).
    """

    def __init__(self, message: str, path: str | Path | None = None, line: int | None = None) -> None:
        self.path, self.line = path, line
        where = "" if path is None else f"{path}:" if line is None else f"{path}:{line}:"
        super().__init__(f"{where} {message}" if where else message)


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """What is wrong with that which is made of a file's content names the file, as a FormatError."""
    try:
        yield
    except FormatError:
        raise
    except ChgtoolsError as error:
        raise FormatError(str(error), path) from error


def sentence_of(error: BaseException, less_memory: str) -> str:
    """What one of many jobs failed of, as one sentence, foreseen or not.

    less_memory : what needs less memory, such as "a coarser grid needs less"
    """
    if isinstance(error, ChgtoolsError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"not enough memory; {less_memory}"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return f"an error that chgtools did not foresee: {type(error).__name__}: {' '.join(str(error).split())}"


class MismatchError(ChgtoolsError):
    """Two inputs that contradict each other (lattices, species, grids, electron counts)."""


class MissingDensityError(ChgtoolsError):
    """No atomic reference density for a label."""


class SettingsError(ChgtoolsError):
    """An option or INCAR tag with a value that cannot be used."""


class AssumptionWarning(UserWarning):
    """Something the input leaves open, and what was taken for it; the command line prints it as a note."""
