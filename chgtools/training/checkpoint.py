"""Checkpoints of a training run: safetensors with a JSON header, written beside and renamed.

A checkpoint belongs to one run: it holds a digest of the settings and the data, and goes on with no other.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chgtools.errors import FormatError, SettingsError
from chgtools.files import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from chgtools.training.config import TrainSettings

FORMAT_VERSION = 1
_KEY = "chgtools_checkpoint"
# settings that may differ, as they change nothing of a member's course, or the data's digests tell; a run may be
# lengthened, and how many steps it had is kept with the state
_FREE = (
    "data", "name", "members", "steps", "occupancies", "threads", "device", "resident", "workers", "checkpoint_minutes",
)  # fmt: skip


# that came later, left out at their defaults: older checkpoints go on
_LATER = {"batch_atoms": 0, "balance": 0.0, "message_l_max": 0}


def digest(settings: TrainSettings, sources: Mapping[str, tuple[str, int]], start: str, streamed: bool = False) -> str:
    """Of all that a member's course follows from.

    start : digest of the weights it began with, or ""; streamed : whether waves are drawn anew
    """
    values = {key: value for key, value in _early(asdict(settings)).items() if key not in _FREE}
    values["encoder"] = _early(values["encoder"])
    if streamed:
        values["streamed"] = True
    text = json.dumps([values, sorted(sha for sha, _ in sources.values()), start], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _early(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in _LATER or value != _LATER[key]}


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any], run: str) -> None:
    from safetensors.torch import save_file

    header = {"format_version": FORMAT_VERSION, "run": run, "facts": dict(facts)}
    with replacing(path) as temporary:
        save_file(dict(tensors), temporary, metadata={_KEY: json.dumps(header)})


def read_checkpoint(path: Path, run: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts. Raises FormatError for a file that is none, SettingsError for one of another run."""
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})[_KEY])
        tensors = load_file(path)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise FormatError(f"is no checkpoint, or a damaged one ({error}); remove it to start anew", path) from error
    if header["format_version"] != FORMAT_VERSION:
        raise FormatError(f"has format version {header['format_version']}, wanted {FORMAT_VERSION}; remove it", path)
    if header["run"] != run:
        raise SettingsError(f"{path} is of a run with other settings or data; name another folder, or give --restart")
    return tensors, header["facts"]
