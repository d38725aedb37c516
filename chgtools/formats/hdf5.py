"""HDF5: the one place that opens such files, tells what they are, and refuses those that are something else.

Each kind of file says what it is by the attributes ``format`` and ``format_version`` at its root.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import ChgtoolsError, FormatError
from chgtools.files import package_version, replacing
from chgtools.formats import archives, streams

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIGNATURE = b"\x89HDF\r\n\x1a\n"  # HDF5 File Format Specification, version 3.0, section II.A

_PACKED = 1100  # bytes that one byte in a file may stand for: deflate packs at most 1032:1
_ALWAYS_TAKEN = 1 << 20  # bytes that are too few to ask
# What h5py and NumPy raise of a damaged file, and of one whose pieces are of other kinds
_DAMAGE = (LookupError, OSError, ValueError, TypeError, RuntimeError, AttributeError, ArithmeticError)


@dataclass(frozen=True)
class Kind:
    """A kind of HDF5 file.

    name : its attribute ``format``; version : the newest ``format_version`` that is read
    what : in words, such as "library of atomic densities"; made_by : the command that makes one
    shared : whether another process may be writing it while it is read; a file that is not is read without a lock,
        which shared file systems refuse
    nameless : tells a file without the attribute ``format`` that is to be read all the same; by default none is
    """

    name: str
    version: int
    what: str
    made_by: str
    shared: bool = False
    nameless: Callable[[Any], bool] = lambda file: False


@contextmanager
def reading(path: str | Path, kind: Kind) -> Iterator[Any]:
    """The h5py.File of this kind, open for reading.

    Raises FormatError for a file that is not there, no HDF5, damaged, of another kind or of a newer version, and
    ChgtoolsError for one that another process is writing.
    """
    with _opened(path, kind) as file:
        with sense(path, f"make it again with {kind.made_by}"):
            found, version = file.attrs.get("format"), file.attrs.get("format_version", kind.version)
            named = isinstance(found, str) and found == kind.name
            if not named and not (found is None and kind.nameless(file)):
                is_what = "an HDF5 file that does not say what it is" if found is None else repr(str(found))
                raise FormatError(f"is no {kind.what} but {is_what}; wanted one made by {kind.made_by}", path)
        if not isinstance(version, (int, np.integer)):
            raise FormatError(
                f"has the format version {version!r}, which is none; make it again with {kind.made_by}", path
            )
        if version > kind.version:
            raise FormatError(
                f"has format version {version}, this chgtools reads up to {kind.version}: upgrade it", path
            )
        yield file


def _opened(path: str | Path, kind: Kind) -> Any:
    import h5py

    if not Path(path).is_file():
        raise FormatError(f"no such file; check the name and the folder, or make one with {kind.made_by}", path)
    try:
        return h5py.File(path, "r") if kind.shared else h5py.File(path, "r", locking=False)
    except BlockingIOError as error:
        raise ChgtoolsError(f"{path} is being written by another process; wait for its end") from error
    except OSError as error:
        raise FormatError(f"is no HDF5 file, or a damaged one; make it again with {kind.made_by}", path) from error


@contextmanager
def sense(path: str | Path, mend: str, what: str = "") -> Iterator[None]:
    """Reading of the pieces of an open file: whatever a damaged one brings about becomes a FormatError.

    what : the piece, such as "the entry /PBE/Fe_pv"; mend : what to do, such as "copy it again"
    """
    try:
        yield
    except FormatError:
        raise
    except (ChgtoolsError, *_DAMAGE) as error:
        reason = " ".join(str(error).split()).strip("'\"") or type(error).__name__
        raise FormatError(f"{what} is damaged ({reason[:200]}); {mend}".lstrip(), path) from error


def array(group: Any, name: str) -> NDArray[Any]:
    """All of a data set.

    Raises KeyError where it is missing, ValueError where it is no data set, and where its shape wants more than its
    bytes in the file can hold: what is damaged, or was never written, would fill the memory with zeros.
    """
    item = group[name]
    shape = getattr(item, "shape", None)
    if shape is None:
        raise ValueError(f"{name} is no data set")
    stored = item.id.get_storage_size()
    if item.nbytes > max(_ALWAYS_TAKEN, _PACKED * stored):
        raise ValueError(f"{name} has the shape {shape} and {stored} bytes, which cannot hold it")
    return np.asarray(item[()])


def reals(group: Any, name: str) -> NDArray[Any]:
    """A data set of real numbers, NaN and infinity too. Raises ValueError for another."""
    values = array(group, name)
    if values.dtype.kind not in "iuf":
        raise ValueError(f"{name} holds {values.dtype}, wanted numbers")
    return values


def numbers(group: Any, name: str, *, ndim: int | None = None) -> NDArray[Any]:
    """A data set of finite real numbers, of ``ndim`` axes where that is given. Raises ValueError for another."""
    values = reals(group, name)
    if ndim is not None and values.ndim != ndim:
        raise ValueError(f"{name} has the shape {values.shape}, wanted {ndim} axes")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} holds numbers that are not finite")
    return values


def real(value: Any) -> float:
    """An attribute that is one real number. Raises ValueError for another."""
    number = np.asarray(value)
    if number.dtype.kind not in "iuf" or number.size != 1:
        raise ValueError(f"an attribute is {str(value)[:40]}, wanted a number")
    return float(number.item())


def words(group: Any, name: str) -> tuple[str, ...]:
    """A data set of words. Raises ValueError for another."""
    values = array(group, name)
    if values.ndim != 1 or not all(isinstance(item, bytes) for item in values):
        raise ValueError(f"{name} has the shape {values.shape} of {values.dtype}, wanted a list of words")
    return tuple(item.decode() for item in values)


@contextmanager
def writing(path: str | Path, kind: Kind, *, compact: bool = False) -> Iterator[Any]:
    """A new h5py.File of this kind, which gets its name when the block ends well.

    compact : HDF5's newest layout, which is smaller for many small groups and needs HDF5 1.10 to be read
    """
    import h5py

    with replacing(path) as temporary, h5py.File(temporary, "w", libver="latest" if compact else None) as file:
        _name(file, kind)
        yield file


@contextmanager
def changing(path: str | Path, kind: Kind) -> Iterator[Any]:
    """The h5py.File of this kind, open for reading and writing; made when it is not there.

    Raises FormatError when the file is there and is of another kind, ChgtoolsError when it cannot be written.
    """
    import h5py

    path = Path(path)
    if not path.parent.is_dir():
        raise ChgtoolsError(f"{path}: the folder {path.parent} does not exist; make it first or name another file")
    if path.exists():
        with reading(path, kind):
            pass
    try:
        file = h5py.File(path, "a")
    except OSError as error:
        raise ChgtoolsError(f"{path} cannot be written ({error}); is another process writing it?") from error
    with file:
        if not len(file) and "format" not in file.attrs:
            _name(file, kind)
        yield file


def _name(file: Any, kind: Kind) -> None:
    file.attrs["format"], file.attrs["format_version"] = kind.name, kind.version
    file.attrs["chgtools_version"] = package_version()


def write_channels(group: Any, channels: Sequence[Sequence[int]]) -> None:
    """l of the projectors of each group of atoms, as text: "0 0 1 1", "" where they are not known."""
    group["channels"] = [" ".join(map(str, own)).encode() for own in channels]


def read_channels(group: Any) -> tuple[tuple[int, ...], ...]:
    """What write_channels wrote; () in files without."""
    texts = words(group, "channels") if "channels" in group else ()
    return tuple(tuple(int(ell) for ell in text.split()) for text in texts)


def name_of(path: str | Path) -> str | None:
    """The attribute ``format`` of a file; "" where it has none, None where the file is no HDF5 or not there.

    Raises FormatError for a damaged file.
    """
    if not Path(path).is_file() or streams.compression_of(path) is not None or not is_hdf5(path):
        return None
    import h5py  # takes a while: a CHGCAR need not wait for it

    try:
        with h5py.File(path, "r") as file, sense(path, "make or copy it again"):
            return str(file.attrs.get("format", ""))
    except OSError as error:
        raise FormatError("is a damaged HDF5 file, or is being written; make or copy it again", path) from error


def is_of(path: str | Path, kind: Kind) -> bool:
    """Whether a file says that it is of a kind; False where it cannot be opened: whoever reads it says why."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return bool(file.attrs.get("format") == kind.name)
    except _DAMAGE:
        return False


def is_hdf5(path: str | Path) -> bool:
    """Whether a file, plain or compressed, is HDF5 by its first bytes. Raises FormatError for one that is not there."""
    with streams.reading(path) as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE


@contextmanager
def foreign(path: str | Path) -> Iterator[Any]:
    """The h5py.File of an HDF5 file of another program, plain or compressed. Raises FormatError for a damaged one."""
    import h5py

    try:
        file = h5py.File(_plain(path), "r")
    except OSError as error:
        raise FormatError("is a damaged HDF5 file, or is being written; make or copy it again", path) from error
    with file:
        yield file


def _plain(path: str | Path) -> Any:
    """What h5py opens: the path, or the content of a compressed file or of a member of an archive in memory."""
    plain = not archives.is_member(path) and streams.compression_of(path) is None
    return path if plain else io.BytesIO(streams.read_bytes(path))
