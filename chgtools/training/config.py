"""What a training run is: a YAML file read into frozen dataclasses, each value checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from chgtools.errors import FormatError, SettingsError
from chgtools.fourier.basis import RadialBasis
from chgtools.kernels.dense import DEVICES
from chgtools.models.encoder_settings import NO_PRIOR, PRIORS, EncoderSettings
from chgtools.stores.splits import BY

FEW, PATIENCE = 200, 5
HIGHEST_L = 6  # l that networks and bases are tested up to


@dataclass(frozen=True)
class Validation:
    """What is kept aside. share : of the structures; by : "formula" or "structure"; hold_out : kinds, * matches"""

    share: float = 0.1
    by: str = "formula"
    seed: int = 0
    hold_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loss:
    """Weights of the errors that are minimised, each in percent of the electrons.

    rms : root mean square, scaled so that the SAED's is its ε_mae
    coulomb : likewise with 1/G², the Coulomb self-energy's metric
    mae : ε_mae itself, through an FFT; structures of more waves than ``waves`` get rms in its place
    magnetisation : of its root mean square, in the unit of ``rms``, where encoder.spin_channels is not 0
    """

    rms: float = 1.0
    coulomb: float = 0.0
    mae: float = 0.0
    magnetisation: float = 0.5


@dataclass(frozen=True)
class TrainSettings:
    """A training run; the YAML file has these names.

    data : stores, as paths relative to the file
    kinds : kinds to use, * matches; none means all
    target : "dcd" or "tcd" (total densities, with the built-in atoms)
    fraction : share of the training structures that is used, for learning curves
    waves : most Fourier coefficients of one structure; of more, so many are drawn
    steps : of each member; 0 leaves weights that were begun with as they are, and fits the occupancies alone
    batch : most structures of a step, of all processes together; batch_atoms : and most atoms, 0 for any number; a
        structure of more stands alone
    balance : 0 for each structure once in an epoch; up to 1, how much more often those are drawn that have an element
        or are of a kind that few have: as the number of these few to the power of -balance
    learning_rate, weight_decay, clip : of AdamW with a cosine schedule and gradients of at most ``clip``
    occupancies : whether readings of the augmentation occupancies are fitted, where the data have records and labels
    trained : parts of the network that are trained, such as [sphere, embedding] in a fine-tuning on few structures; the
        others stay as they begin; none means all
    ema : of the weights' running mean, which is what is evaluated and kept
    evaluations : how often the validation error is taken; patience : stop after so many without a better one and keep
        the best, 0 never; -1 is 5 where FEW structures or fewer are learned from, which a network soon knows by heart,
        else 0
    members : networks of the ensemble, with the seeds seed, seed + 1, ...
    resident : structures up to which all are held in memory, with the waves that were drawn once; of more, each is read
        from its store when a step needs it, and its waves are drawn anew
    workers : processes that read them then
    checkpoint_minutes : after which the state of a member is written anew, beside after each evaluation
    threads : of torch, 0 leaves it to torch; device : "auto", "cpu" or "cuda"; precision : "float32" or "bf16"
    """

    data: tuple[str, ...]
    name: str = "model"
    kinds: tuple[str, ...] = ()
    target: str = "dcd"
    fraction: float = 1.0
    validation: Validation = field(default_factory=Validation)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    basis: RadialBasis = field(default_factory=RadialBasis)
    loss: Loss = field(default_factory=Loss)
    waves: int = 4000
    steps: int = 2000
    batch: int = 16
    batch_atoms: int = 0
    balance: float = 0.0
    learning_rate: float = 3e-3
    weight_decay: float = 1.0
    clip: float = 1.0
    occupancies: bool = True
    trained: tuple[str, ...] = ()
    ema: float = 0.99
    evaluations: int = 20
    patience: int = -1
    members: int = 4
    seed: int = 0
    resident: int = 2000
    workers: int = 4
    checkpoint_minutes: float = 10.0
    threads: int = 0
    device: str = "auto"
    precision: str = "float32"

    def patience_for(self, structures: int) -> int:
        """Evaluations without a better one after which a run on so many structures ends; 0 never."""
        if self.patience < 0:
            return PATIENCE if structures <= FEW else 0
        return self.patience

    def __post_init__(self) -> None:
        one_of("target", self.target, ("dcd", "tcd"))
        one_of("validation.by", self.validation.by, BY)
        one_of("device", self.device, DEVICES)
        one_of("encoder.prior", self.encoder.prior, PRIORS)
        one_of("precision", self.precision, ("float32", "bf16"))
        for name in ("waves", "batch", "members", "evaluations"):
            _at_least(name, getattr(self, name), 1)
        for name in ("learning_rate", "clip", "checkpoint_minutes"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"found {name} = {getattr(self, name):g}; wanted a number above 0")
        _at_least("patience", self.patience, -1)
        for name in ("steps", "batch_atoms", "weight_decay", "threads", "resident", "workers"):
            _at_least(name, getattr(self, name), 0)
        for name, value in (
            ("fraction", self.fraction),
            ("validation.share", self.validation.share),
            ("ema", self.ema),
            ("balance", self.balance),
            ("encoder.unknown", self.encoder.unknown),
        ):
            if not 0 <= value <= 1:
                raise SettingsError(f"found {name} = {value:g}; wanted a number from 0 to 1")
        weights = asdict(self.loss)
        if min(weights.values()) < 0 or max(w for name, w in weights.items() if name != "magnetisation") == 0:
            raise SettingsError(
                f"found the loss {weights}; wanted weights of 0 or more, one of them above 0 beside the magnetisation's"
            )
        if not self.data:
            raise SettingsError("found no data; name one store or more under 'data'")
        if self.encoder.unknown and self.encoder.prior == NO_PRIOR:
            raise SettingsError(
                f"found encoder.unknown = {self.encoder.unknown:g} and no prior; weights without one "
                "leave elements out that they have not seen"
            )
        if self.encoder.order not in (1, 2):
            raise SettingsError(f"found encoder.order = {self.encoder.order}; wanted 1 or 2")
        if self.encoder.l_max != self.basis.l_max:
            raise SettingsError(
                f"found encoder.l_max = {self.encoder.l_max} and basis.l_max = {self.basis.l_max}; they must be equal"
            )
        if self.basis.l_max > HIGHEST_L:
            raise SettingsError(f"found basis.l_max = {self.basis.l_max}; wanted {HIGHEST_L} at most")


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SettingsError(f"found {name} = {value!r}; wanted one of {', '.join(allowed)}")


def _at_least(name: str, value: float, least: int) -> None:
    if value < least:
        raise SettingsError(f"found {name} = {value}; wanted {least} or more")


def read_settings(path: str | Path) -> TrainSettings:
    """The run that a YAML file describes; data become paths relative to the file's folder.

    Raises FormatError for text that is no YAML, unknown names and wrong types, SettingsError for impossible values.
    """
    import yaml

    path = Path(path)
    try:
        values = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise FormatError("no such file; check the name and the folder", path) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FormatError(f"is no YAML: {' '.join(str(error).split())}", path) from error
    if not isinstance(values, dict):
        raise FormatError("wanted names and values, one to a line, such as 'steps: 2000'", path)
    if "data" not in values:
        raise FormatError("has no 'data': name the stores to train on", path)
    try:
        settings = _build(TrainSettings, values, path, "")
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error
    data = tuple(str(path.parent / name) for name in settings.data)
    return TrainSettings(**{**{f.name: getattr(settings, f.name) for f in fields(settings)}, "data": data})


def _build(kind: Any, values: Mapping[str, Any], path: Path, prefix: str) -> Any:
    hints = get_type_hints(kind)
    known = [f.name for f in fields(kind)]
    for name in values:
        if name not in known:
            raise FormatError(f"has the unknown name {prefix}{name}; known are {', '.join(known)}", path)
    return kind(**{name: _convert(hints[name], value, path, prefix + name) for name, value in values.items()})


def _convert(kind: Any, value: Any, path: Path, name: str) -> Any:
    if is_dataclass(kind):
        if not isinstance(value, dict):
            raise FormatError(f"{name}: found {value!r}; wanted names and values, indented below it", path)
        return _build(kind, value, path, name + ".")
    if kind == tuple[str, ...]:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise FormatError(f"{name}: found {value!r}; wanted a list of words", path)
        return tuple(items)
    if kind is float and isinstance(value, str):  # YAML takes 1e-3 for a word
        try:
            return float(value)
        except ValueError:
            pass
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise FormatError(f"{name}: found {value!r}; wanted {_PLAIN[kind]}", path)
    return value


_PLAIN = {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}


def split_settings(card: Mapping[str, Any]) -> TrainSettings:
    """Settings that part structures as the training of weights did, from their card; all else is a default.

    Raises SettingsError for a card that does not say how.
    """
    settings = card.get("settings")
    if not settings:
        raise SettingsError("these weights do not say what their training kept aside; leave out --aside")
    rule = Validation(**{**settings["validation"], "hold_out": tuple(settings["validation"]["hold_out"])})
    return TrainSettings(data=("-",), validation=rule, fraction=settings["fraction"])


def defaults_text() -> str:
    """The defaults as a YAML file, to start from."""
    lines = ["data: [my_store.h5]"]
    for item in fields(TrainSettings):
        if item.default_factory is not MISSING:
            lines.append(f"{item.name}:")
            lines += [f"  {name}: {_yaml(value)}" for name, value in asdict(item.default_factory()).items()]
        elif item.name != "data":
            lines.append(f"{item.name}: {_yaml(item.default)}")
    return "\n".join(lines) + "\n"


def _yaml(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)
