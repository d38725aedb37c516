"""Random damage of files: to their bytes, lines and words, to JSON, to HDF5 and to the head of safetensors.

All of it follows from the ``random.Random`` that is given, so that a damage is made again from its number.
"""

from __future__ import annotations

import json
import random
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from fuzz_originals import hdf5_names

GARBAGE = [
    b"*", b"x", b"\x00", b"\xff\xfe", b",", b"E", b".", b"NaN", b"  ", b"\n", b"+", b"-", b"augm", b"1.0 ", b"\t", b"\r",
    b"\r\n", b"\x1a", b"\xc3\xa9", b"\xef\xbb\xbf", b"\xe2\x88\x92", b"#", b"!", b";", b"{", b"}", b'"', b"=", b"/", b"<",
    b">", b"\\", b"(", b"\x85", b"\x0c", b"\xd9\xa3", b"\xc2\xb2", b"\x1f\x8b", b"BZh9",
]  # fmt: skip
NUMBERS = [
    b"0", b"-1", b"1", b"2", b"1000000000000", b"99999999999999999999999", b"-99999999999999999999", b"2147483648",
    b"9223372036854775808", b"1e400", b"-1E+999", b"1e-400", b"1D+308", b"NaN", b"inf", b"-Infinity", b"1_000", b"0x10",
    b"1.5", b"1e9", b"100000", b"3*1.0", b"100000000*1.0", b"1.0+300", b"1+2", b"", b"T", b"1e308", b"5e-324", b"1" * 5000,
]  # fmt: skip
_WORD = re.compile(rb"[^\s,=:\[\]{}\"<>]+")
_INTEGER = re.compile(rb"(?<![\d.])\d+(?![\d.])")
Edit = Callable[[random.Random, bytes], bytes]


def _place(rng: random.Random, text: bytes) -> int:
    """Anywhere, the first lines more often: these hold what the rest is read by."""
    return rng.randrange(max(1, len(text) if rng.random() < 0.6 else min(len(text), 600)))


def _bytes(rng: random.Random, text: bytes) -> bytes:
    at, length = _place(rng, text), rng.choice([1, 1, 2, 8, 60, 300])
    how = rng.choice(["flip", "delete", "insert", "replace", "double", "swap"])
    if how == "flip":
        return text[:at] + bytes([text[at] ^ (1 << rng.randrange(8))]) + text[at + 1 :] if text else b""
    if how == "delete":
        return text[:at] + text[at + length :]
    if how == "double":
        return text[: at + length] + text[at:]
    if how == "swap":
        return text[:at] + text[at + length : at + 2 * length] + text[at : at + length] + text[at + 2 * length :]
    garbage = rng.choice(GARBAGE) * rng.choice([1, 1, 1, 2, 50])
    return text[:at] + garbage + text[at + (len(garbage) if how == "replace" else 0) :]


def _lines(rng: random.Random, text: bytes) -> bytes:
    lines = text.split(b"\n")
    at = min(rng.randrange(len(lines)), rng.choice([len(lines), 12]))
    at, other = min(at, len(lines) - 1), rng.randrange(len(lines))
    how = rng.choice(["delete", "double", "swap", "join", "blank", "many", "empty", "copy"])
    if how == "delete":
        del lines[at : at + rng.choice([1, 1, 3])]
    elif how == "double":
        lines.insert(at, lines[at])
    elif how == "swap":
        lines[at], lines[other] = lines[other], lines[at]
    elif how == "join":
        lines[at : at + 2] = [b"".join(lines[at : at + 2])]
    elif how == "blank":
        lines.insert(at, b"")
    elif how == "many":
        lines[at:at] = [lines[at]] * 500
    elif how == "empty":
        lines[at] = b""
    else:
        lines[at] = lines[other]
    return b"\n".join(lines)


def _words(rng: random.Random, text: bytes) -> bytes:
    places = [match.span() for match in (_INTEGER if rng.random() < 0.4 else _WORD).finditer(text)]
    if not places:
        return text + rng.choice(GARBAGE)
    few = min(len(places), rng.choice([len(places), 30]))
    start, stop = places[rng.randrange(few)]
    how = rng.choice(["number", "number", "number", "delete", "glue", "other", "garbage"])
    if how == "number":
        return text[:start] + rng.choice(NUMBERS) + text[stop:]
    if how == "delete":
        return text[:start] + text[stop:]
    if how == "glue":
        return text[:stop] + text[stop:].lstrip(b" \t")
    if how == "other":
        other = places[rng.randrange(len(places))]
        return text[:start] + text[slice(*other)] + text[stop:]
    return text[:start] + rng.choice(GARBAGE) + text[start:]


def _whole(rng: random.Random, text: bytes) -> bytes:
    at = _place(rng, text)
    choices: list[Callable[[], bytes]] = [
        lambda: text[:at],
        lambda: text[at:],
        lambda: b"",
        lambda: text.replace(b"\n", b"\r"),
        lambda: text.replace(b"\n", b"\r\n"),
        lambda: text.replace(b"\n", b""),
        lambda: text.replace(b" ", b""),
        lambda: text.decode("latin-1").encode("utf-16"),
        lambda: b"\xef\xbb\xbf" + text,
        lambda: text + text,
        lambda: text[:at] + bytes(4096) + text[at:],
        lambda: rng.randbytes(300),
        lambda: text + rng.randbytes(30),
        lambda: text.replace(b".", b","),
        lambda: text.replace(b"E", b"D"),
        lambda: text.upper(),
        lambda: b"\n" * 3000,
    ]
    return rng.choice(choices)()


def damaged_bytes(rng: random.Random, text: bytes) -> bytes:
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        text = rng.choice([_bytes, _words, _words, _lines, _whole] if rng.random() < 0.9 else [_bytes])(rng, text)
    return text


# --- JSON -----------------------------------------------------------------------------------------------------------

ODD = [
    None, True, False, 0, -1, 1, 3.5, 10**12, 10**30, 1e308, float("nan"), float("inf"), "", "x", "NaN", [], {}, [[]],
    [None], {"x": 1}, [1, 2], [[1, 2], [3]], {"@class": "Chgcar"}, {"@module": "os", "@class": "system"}, "1" * 5000,
    ["a", "b"], [[1.0, 0.0, 0.0]] * 3, {"0": 1}, 10**400,
]  # fmt: skip


def _nodes(content: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """(container, key) of everything within decoded JSON."""
    for key in list(content) if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ():
        found.append((content, key))
        _nodes(content[key], found)
    return found


def damaged_json(rng: random.Random, text: bytes) -> bytes:
    if rng.random() < 0.02:
        depth = rng.choice([50, 3000, 100_000])
        return rng.choice([b"[", b'{"data":', b'{"structure":']) * depth
    content = json.loads(text)
    for _ in range(rng.choice([1, 1, 2, 4])):
        nodes = _nodes(content, [])
        if not nodes:
            break
        # half of the time near the root: grids hold most of the nodes
        container, key = nodes[rng.randrange(len(nodes) if rng.random() < 0.3 else min(len(nodes), 80))]
        how = rng.choice(["odd", "odd", "odd", "delete", "double", "swap", "nest", "rename"])
        if how == "odd":
            container[key] = rng.choice(ODD)
        elif how == "delete":
            del container[key]
        elif how == "nest":
            container[key] = [container[key]]
        elif how == "rename" and isinstance(container, dict):
            container[rng.choice(["x", "", str(key) + "2"])] = container.pop(key)
        elif how == "double" and isinstance(container, list):
            container.insert(key, container[key])
        else:
            other, place = rng.choice(nodes)
            try:
                container[key], other[place] = json.loads(json.dumps(other[place])), container[key]
                json.dumps(content)
            except (LookupError, ValueError):  # what held it is gone, or it would hold itself
                return text
    return json.dumps(content).encode()


def damaged_lines_of_json(rng: random.Random, text: bytes) -> bytes:
    lines = text.splitlines()
    at = rng.randrange(len(lines))
    lines[at] = damaged_json(rng, lines[at])
    return b"\n".join(lines) + b"\n"


# --- HDF5 -----------------------------------------------------------------------------------------------------------


def _odd_values(rng: random.Random, value: Any) -> Any:
    """Something else in place of the numbers or words of a data set or an attribute."""
    choices: list[Callable[[], Any]] = [
        lambda: np.float64("nan"),
        lambda: np.float64(-1.5),
        lambda: np.int64(-1),
        lambda: np.int64(10**12),
        lambda: np.float64(1e300),
        lambda: "text",
        lambda: b"\xff\xfe",
        lambda: np.zeros(0),
        lambda: h5py.Empty("f"),
        lambda: np.array(["a", "b"], dtype="S1"),
        lambda: np.zeros((1, 1, 1, 1)),
        lambda: np.zeros(3, dtype=[("r", "f8"), ("i", "f8")]),
    ]
    array = np.asarray(value)
    if array.dtype.kind in "iuf":
        choices += [
            lambda: array * np.nan,
            lambda: array[..., None],
            lambda: array.ravel(),
            lambda: array[:-1] if array.ndim else array,
            lambda: np.concatenate([array, array]) if array.ndim else array,
            lambda: array.T,
            lambda: array.astype(complex),
            lambda: -array,
            lambda: array * 1e6,
            lambda: array.astype(str).astype("S"),
            lambda: array * 0,
            lambda: array.astype(np.int8),
        ]
    return rng.choice(choices)()


def damaged_hdf5(rng: random.Random, text: bytes, path: Path) -> bytes:
    path.write_bytes(text)
    with h5py.File(path, "a") as file:
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            name = rng.choice(list(hdf5_names(file)))
            item = file[name] if name else file
            if item.attrs and (not name or rng.random() < 0.4):
                _damage_attribute(rng, item)
            elif name:
                _damage_item(rng, file, name, item)
    return path.read_bytes()


def _damage_attribute(rng: random.Random, item: Any) -> None:
    key = rng.choice(sorted(item.attrs))
    value = item.attrs[key]
    del item.attrs[key]
    if rng.random() < 0.7:
        item.attrs[key] = _odd_values(rng, value)


def _damage_item(rng: random.Random, file: Any, name: str, item: Any) -> None:
    how = rng.choice(["remove", "replace", "replace", "replace", "huge", "rename", "group", "link", "swap"])
    is_set = isinstance(item, h5py.Dataset)
    value = item[()] if is_set and item.nbytes < 1e6 else 0.0
    shape = item.shape if is_set else (3,)
    if how == "rename":
        file.move(name, name + "_")
        return
    if how == "swap":
        others = [other for other in hdf5_names(file) if other and isinstance(file[other], h5py.Dataset)]
        other = file[rng.choice(others)] if others else item
        value = other[()] if other.nbytes < 1e6 else value
    del file[name]
    if how == "replace":
        file[name] = _odd_values(rng, value)
    elif how == "swap":
        file[name] = value
    elif how == "huge":  # claims what it does not hold
        size = rng.choice([10**4, 10**6, 10**9])
        file.create_dataset(
            name, tuple(size if axis == 0 else n for axis, n in enumerate(shape)) or (size,), "f8", chunks=True
        )
    elif how == "group":
        file.create_group(name)
    elif how == "link":
        file[name] = rng.choice(
            [h5py.SoftLink("/nowhere"), h5py.SoftLink("/" + name), h5py.ExternalLink("no.h5", "/x")]
        )


# --- safetensors ----------------------------------------------------------------------------------------------------


def damaged_safetensors(rng: random.Random, text: bytes) -> bytes:
    length = struct.unpack("<Q", text[:8])[0]
    head, body = json.loads(text[8 : 8 + length]), text[8 + length :]
    how = rng.choice(["length", "head", "card", "card", "card", "body"])
    if how == "length":
        return struct.pack("<Q", rng.choice([0, 1, length - 1, length + 1, 10**9, 2**63, 2**64 - 1])) + text[8:]
    if how == "head":
        head = json.loads(damaged_json(rng, json.dumps(head).encode())[:10_000_000] or b"{}")
    elif how == "card":
        (key,) = head["__metadata__"]
        head["__metadata__"][key] = damaged_json(rng, head["__metadata__"][key].encode()).decode()
    else:
        values = np.frombuffer(body, np.float32).copy()
        values[rng.randrange(len(values))] = rng.choice([np.nan, np.inf, 1e38, -1e38])
        body = values.tobytes()[: rng.choice([len(body), len(body) // 2, 0])]
    written = json.dumps(head).encode()
    return struct.pack("<Q", len(written)) + written + body


def damaged(rng: random.Random, make_up: str, text: bytes, path: Path) -> bytes:
    """A damaged file; ``path`` may be used for making it."""
    if make_up == "text" or rng.random() < 0.3:
        return damaged_bytes(rng, text)
    try:
        if make_up == "hdf5":
            return damaged_hdf5(rng, text, path)
        make = {"json": damaged_json, "json lines": damaged_lines_of_json, "safetensors": damaged_safetensors}
        return make[make_up](rng, text)
    except (RecursionError, ValueError, KeyError, OSError, RuntimeError, TypeError):
        return damaged_bytes(rng, text)  # a second damage found nothing to work on
