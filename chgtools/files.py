"""What every file that is written has in common: it is complete or not there, and says which version made it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from chgtools.errors import ChgtoolsError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block ends well, else remove it.

    The temporary name ends as that of ``path``, so that suffixes tell the same of it.
    Raises ChgtoolsError when the folder does not exist or cannot be written.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ChgtoolsError(f"{path}: the folder {path.parent} does not exist; make it first or name another output")
    if path.is_dir():
        raise ChgtoolsError(f"{path}: is a folder; name a file in it as the output")
    try:
        handle, name = tempfile.mkstemp(prefix=".", suffix=f".{path.name}", dir=path.parent)
    except OSError as error:
        raise ChgtoolsError(f"{path}: cannot be written ({error.strerror}); name another output") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        raise ChgtoolsError(f"{path}: writing failed ({error.strerror}); nothing was changed") from error
    finally:
        temporary.unlink(missing_ok=True)


def package_version() -> str:
    """Version of the installed package; "unknown" in a checkout that is not installed."""
    try:
        return version("chgtools")
    except PackageNotFoundError:
        return "unknown"


def move_together(staged: Path, folder: Path, names: Sequence[str]) -> None:
    """Move files of one folder into another of the same file system: all of them, or none.

    A file that is replaced is kept until all are there, and put back when one cannot be moved.
    Raises ChgtoolsError then.
    """
    moved: list[str] = []
    try:
        for name in names:
            if (folder / name).exists():
                (folder / name).rename(staged / f"{name}.replaced")
            (staged / name).replace(folder / name)
            moved.append(name)
    except OSError as error:
        for name in names:
            kept = staged / f"{name}.replaced"
            if kept.exists():
                kept.replace(folder / name)
            elif name in moved:
                (folder / name).unlink(missing_ok=True)
        raise ChgtoolsError(f"{folder}: writing failed ({error.strerror}); nothing was changed") from error
