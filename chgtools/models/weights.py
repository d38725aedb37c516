"""Weights of a DensityModel: one safetensors file, its metadata a JSON card.

Tensors are named MEMBER.PARAMETER, float32, or float16 for what was trained. The metadata has one key,
``chgtools_model``, with JSON: ``format_version``, ``name``, ``target``, ``elements``, ``zvals``, ``properties``,
``basis``, ``encoder``, ``members``, ``trust`` and ``card``, and where a magnetisation, CHGCARs' densities or
occupancies were learned ``spins``, ``labels`` and ``occupancies`` (their tensors are occupancies.LABEL.L). A file
with a newer version, an unknown key among the settings, or tensors that do not fit is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import ChgtoolsError, FormatError
from chgtools.files import package_version, replacing
from chgtools.fourier.basis import RadialBasis
from chgtools.models.card import DAMAGE, require_kinds, sense, settings_of
from chgtools.models.encoder_settings import NO_PRIOR, PRIORS, EncoderSettings
from chgtools.models.label_reading import LabelReading
from chgtools.models.model import DensityModel, Trust
from chgtools.models.network import Network
from chgtools.models.tensor_shapes import is_trained, misfits, shapes

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT_VERSION = 1
_KEY = "chgtools_model"
_KNOWN = {
    "format_version", "chgtools_version", "name", "target", "elements", "zvals", "properties", "basis", "encoder",
    "members", "trust", "card", "spins", "labels", "occupancies",
}  # fmt: skip
_OPTIONAL = {"chgtools_version", "spins", "labels", "occupancies"}
_READINGS = "occupancies."
_NAMED = 3  # tensors that do not fit, in an error
WITHOUT_PRIOR = ".without_prior"
PACKAGED = ("si", "base")  # each with its companion that needs no prior, see without_prior


def packaged(name: str) -> Path:
    """The file of packaged weights."""
    return Path(str(files("chgtools.models") / "weights_files" / f"{name}.safetensors"))


def without_prior(path: Path) -> Path:
    """The weights that stand in for others where these have no prior; they lie beside them, or are not there."""
    return path.with_name(f"{path.name.removesuffix('.safetensors')}{WITHOUT_PRIOR}.safetensors")


def find_weights(name: str | Path) -> Path:
    """The file that a name or a path means. Raises ChgtoolsError when there is none."""
    if str(name).removesuffix(WITHOUT_PRIOR) in PACKAGED:
        path = packaged(str(name))
        if not path.is_file():
            raise ChgtoolsError(f"this installation has no weights {str(name)!r} ({path} is missing); install it again")
        return path
    path = Path(name)
    if not path.is_file():
        raise ChgtoolsError(f"no weights {str(name)!r}: neither a file nor one of {', '.join(PACKAGED)}")
    return path


def read_facts(name: str | Path) -> dict[str, Any]:
    """The metadata of weights without the tensors: elements, card and settings. Raises FormatError."""
    from safetensors import SafetensorError, safe_open

    path = find_weights(name)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise FormatError(f"is no safetensors file, or a damaged one ({error})", path) from error
    if _KEY not in metadata:
        raise FormatError("is a safetensors file, but holds no chgtools model", path)
    try:
        facts = json.loads(metadata[_KEY])
        version = int(facts["format_version"])
    except DAMAGE as error:
        raise FormatError(f"has a card that cannot be read ({error})", path) from error
    if version > FORMAT_VERSION:
        raise FormatError(f"has format version {version}, this chgtools reads up to {FORMAT_VERSION}: upgrade it", path)
    if unknown := sorted(set(facts) - _KNOWN):
        raise FormatError(f"has the unknown keys {', '.join(unknown)}: was it made by a newer chgtools?", path)
    if missing := sorted(_KNOWN - set(facts) - _OPTIONAL):
        raise FormatError(f"lacks {', '.join(missing)} on its card; it is damaged", path)
    with sense(path):
        require_kinds(facts)
    return dict(facts)


def load_model(name: str | Path) -> DensityModel:
    """The model in a file, in float64. Raises ChgtoolsError, FormatError for what is not understood."""
    path, facts = find_weights(name), read_facts(name)
    with sense(path):
        return _model(facts, path)


def _model(facts: Mapping[str, Any], path: Path) -> DensityModel:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    basis = settings_of(RadialBasis, facts["basis"], "basis", path)
    encoder = settings_of(EncoderSettings, facts["encoder"], "encoder", path)
    if encoder.prior not in PRIORS:
        raise FormatError(f"needs the prior {encoder.prior!r}, which this chgtools does not know: upgrade it", path)
    trust = settings_of(Trust, facts["trust"], "trust", path)
    properties = facts["properties"]
    if len(properties) != len(facts["elements"]) or len(facts["zvals"]) != len(facts["elements"]):
        raise FormatError("has elements, ZVALs and properties of different numbers; it is damaged", path)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise FormatError(f"is a damaged safetensors file ({error})", path) from error
    except (TypeError, KeyError) as error:  # bfloat16 and the like
        raise FormatError(
            f"holds tensors of a type that is unknown here, wanted float32 or float16 ({error})", path
        ) from error
    wanted = shapes(encoder, basis.n_max, len(properties), len(properties[0]) if properties else 0)
    members = [_read_network(index, tensors, encoder, wanted, path) for index in range(int(facts["members"]))]
    return DensityModel(
        name=str(facts["name"]),
        elements=tuple(facts["elements"]),
        zvals=np.array(facts["zvals"], dtype=float),
        basis=basis,
        target=str(facts["target"]),
        members=members,
        trust=trust,
        card=facts["card"],
        spins=tuple(facts.get("spins", ())),
        occupancies=_read_readings(facts, tensors, path),
        labels=tuple(facts.get("labels", ())),
    )


def save_model(model: DensityModel, path: str | Path, *, half: bool = False) -> None:
    """Write a model; an older file is replaced only when the new one is complete.

    half : whether trained parameters are written in half precision: the file is half as large, and a prediction differs
        by some 1e-4 of the difference density
    """
    from safetensors.numpy import save_file

    if not model.members:
        raise ChgtoolsError("a model without members cannot be written")
    first = model.members[0]
    facts = {
        "format_version": FORMAT_VERSION,
        "chgtools_version": package_version(),
        "name": model.name,
        "target": model.target,
        "elements": list(model.elements),
        "zvals": [float(z) for z in model.zvals],
        "properties": [[float(x) for x in row] for row in first.properties],
        "basis": asdict(model.basis),
        "encoder": _without_defaults(first.settings),
        "members": len(model.members),
        "trust": _trust(model.trust),
        "card": dict(model.card),
    }
    # what a model does not have is left out, so that versions which know nothing of it can read the file
    if model.spins:
        facts["spins"] = list(model.spins)
    if model.labels:
        facts["labels"] = list(model.labels)
    if model.occupancies:
        facts["occupancies"] = {
            label: {
                "channels": list(reading.channels),
                "mean": reading.mean.tolist(),
                "atoms": reading.atoms,
                "error_percent": None if reading.error_percent != reading.error_percent else reading.error_percent,
            }
            for label, reading in model.occupancies.items()
        }
    tensors = {}
    for index, member in enumerate(model.members):
        for key, value in member.tensors.items():
            kind = np.float16 if half and is_trained(key) else np.float32
            tensors[f"{index}.{key}"] = np.ascontiguousarray(value, dtype=kind)
    for label, reading in model.occupancies.items():
        for big_l, weights in reading.weights.items():
            tensors[f"{_READINGS}{label}.{big_l}"] = np.ascontiguousarray(weights, dtype=np.float32)
    with replacing(Path(path)) as temporary:
        save_file(tensors, temporary, metadata={_KEY: json.dumps(facts)})


def _read_network(
    index: int, tensors: Mapping[str, Any], settings: EncoderSettings, wanted: Mapping[str, tuple[int, ...]], path: Path
) -> Network:
    """The member ``index`` of a file with these tensors. wanted : names and shapes of a member's"""
    start = f"{index}."
    own = {key[len(start) :]: value for key, value in tensors.items() if key.startswith(start)}
    if wrong := misfits(own, wanted):
        more = f"; and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        words = "; ".join(wrong[:_NAMED])
        raise FormatError(f"does not hold the tensors that its card describes: in member {index} {words}{more}", path)
    if not all(np.isfinite(value).all() for value in own.values()):
        raise FormatError("holds weights that are not finite numbers", path)
    return Network(settings, {key: own[key].astype(np.float64) for key in wanted})


def _read_readings(facts: Mapping[str, Any], tensors: Mapping[str, Any], path: Path) -> dict[str, LabelReading]:
    readings = {}
    for label, values in facts.get("occupancies", {}).items():
        start = f"{_READINGS}{label}."
        weights = {
            int(key[len(start) :]): value.astype(np.float64)
            for key, value in tensors.items()
            if key.startswith(start) and key[len(start) :].isdigit()
        }
        if not all(np.isfinite(value).all() for value in weights.values()):
            raise FormatError(f"holds readings of the occupancies of {label} that are not finite numbers", path)
        error = values["error_percent"]
        readings[label] = LabelReading(
            channels=tuple(values["channels"]),
            mean=np.array(values["mean"], dtype=float),
            weights=weights,
            atoms=int(values["atoms"]),
            error_percent=float("nan") if error is None else float(error),
        )
    return readings


def _trust(trust: Trust) -> dict[str, float]:
    values = asdict(trust)
    if trust.structures is None:
        del values["structures"]
    if trust.unseen == 1:
        del values["unseen"]
    return values


def _without_defaults(encoder: EncoderSettings) -> dict[str, Any]:
    values = asdict(encoder)
    if not encoder.spin_channels:
        del values["spin_channels"]
    if encoder.prior == NO_PRIOR:
        del values["prior"]
    if not encoder.unknown:
        del values["unknown"]
    if not encoder.message_l_max:
        del values["message_l_max"]
    return values


def element_zvals(
    elements: list[tuple[str, ...]], electrons: list[float]
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """The elements of structures and their valence electrons, by least squares from NELECT of each structure."""
    symbols = tuple(sorted({symbol for structure in elements for symbol in structure}))
    counts = np.array([[structure.count(symbol) for symbol in symbols] for structure in elements], dtype=float)
    zvals = np.linalg.lstsq(counts, np.array(electrons, dtype=float), rcond=None)[0]
    return symbols, np.asarray(np.round(zvals, 6))
