"""What a data set of the Materials Project's CHGCARs and a training on it would cost: measured on one, and multiplied.

python benchmarks/speed/materials_project_cost.py [--structures 100000] [--epochs 50] [--members 3]

One structure stands for all: SrTiO3 of 40 atoms with 120³ points and two spins, as JSON in gzip, which is how the
Materials Project hands its CHGCARs out. Measured are the CPU seconds and bytes of its entry, of its tight-binding
features and of making its sample, and those of a step of training on one thread; counted are the operations of a step
in matrix products (PyTorch's FlopCounterMode, forward and backward; what is no product is not counted) and its calls.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import chgtools
from chgtools.formats import chgcar
from chgtools.formats.poscar import read as read_poscar
from chgtools.libraries.library import DensityLibrary
from chgtools.models.descriptors import properties
from chgtools.models.encoder_settings import EncoderSettings
from chgtools.models.prior import PriorScales
from chgtools.start.superposition import superpose
from chgtools.stores.build import BuildOptions, build
from chgtools.stores.store import Store, opened
from chgtools.tightbinding.features import PRIOR, PriorFeatures, prior_features
from chgtools.training.config import Loss, TrainSettings
from chgtools.training.samples import Sample
from chgtools.training.streaming import Maker
from chgtools.training.trainer import Trainer
from chgtools.volumetric import VolumetricData

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import CORPUS, ROOT

POSCAR = ROOT / "examples" / "perovskite" / "POSCAR"
POINTS = 120
LABELS = ("Sr_sv", "Ti_pv", "O")
IONIC = (0.94, 0.9, None)  # what is left of the electrons of each; the last takes what the others lose
TRUNCATION = 2e-4  # percent: it then has 66 waves per Å³, the median of real CHGCARs at the default 0.06
FILES = 4
BATCH = 16
STEPS = 4


def mean_file() -> dict[str, object]:
    """pymatgen's Chgcar, as the Materials Project has it, of ions with a magnetisation."""
    from monty.json import MontyEncoder
    from pymatgen.io.vasp import Chgcar

    atoms = read_poscar(POSCAR)
    library = DensityLibrary.builtin()
    free = [library[label] for label in LABELS]
    lost = sum(n * d.zval * (1 - (w or 1)) for n, d, w in zip(atoms.counts, free, IONIC, strict=True))
    weights = [w or 1 + lost / (atoms.counts[-1] * free[-1].zval) for w in IONIC]
    ions = [d.weighted(weight) for d, weight in zip(free, weights, strict=True)]
    density = superpose(atoms, (POINTS,) * 3, ions)
    magnetisation = np.asfortranarray(superpose(atoms, (POINTS,) * 3, [d.weighted(0.02) for d in free]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "CHGCAR"
        chgcar.write(VolumetricData("CHGCAR", atoms, [density, magnetisation], moments=[np.ones(atoms.n_atoms)]), path)
        print(f"its CHGCAR has {path.stat().st_size / 1e6:.0f} MB")
        made = Chgcar.from_file(str(path))
    return dict(json.loads(json.dumps({"fs_id": "0", "data": made.as_dict()}, cls=MontyEncoder)))


def measure_build(folder: Path) -> dict[str, float]:
    content, sizes = mean_file(), []
    files = [folder / f"mp-{number}.json.gz" for number in range(FILES)]
    for number, path in enumerate(files):
        content["fs_id"] = str(number)  # so that each has a hash of its own
        path.write_bytes(gzip.compress(json.dumps(content).encode(), 6))
        sizes.append(path.stat().st_size)
    options = BuildOptions(truncation=TRUNCATION)
    seconds = [outcome.cpu_seconds for outcome in build(folder / "mp.h5", [(path, None) for path in files], options)]
    texts = [folder / f"{number}.CHGCAR.gz" for number in range(FILES)]
    data = chgtools.read(files[0])
    for number, path in enumerate(texts):
        chgcar.write(replace(data, structure=data.structure.with_changes(comment=str(number))), path)
    as_text = [outcome.cpu_seconds for outcome in build(folder / "text.h5", [(path, None) for path in texts], options)]
    print(f"a build from CHGCAR.gz takes {statistics.median(as_text[1:]):.2f} CPU seconds")
    # the first has the start of the process in it
    return {
        "download": statistics.mean(sizes),
        "build": statistics.median(seconds[1:]),
        "entry": (folder / "mp.h5").stat().st_size / FILES,
    }


def print_real(folder: Path) -> None:
    """What real CHGCARs take in a store, as far as nothing but their electrons is needed to take them in."""
    files = sorted(CORPUS.glob("*/CHGCAR*"))
    for _ in build(folder / "real.h5", [(path, None) for path in files]):
        pass
    rows = []
    for name, facts in Store.open(folder / "real.h5").facts():
        with opened(folder / "real.h5") as file:
            group = file[name]
            stored = sum(item.id.get_storage_size() for item in group.values())
            points, volume = np.prod(group["shape"][()]), abs(np.linalg.det(group["lattice"][()]))
        rows.append((stored / points, facts["n_waves"] / volume))
    a_point, waves = np.median(rows, axis=0)
    print(f"{len(rows)} real CHGCARs: {a_point:.2f} bytes a point of the grid, {waves:.0f} waves a cubic Å (medians)")


def measure_training(folder: Path) -> dict[str, float]:
    torch.set_num_threads(1)
    store = Store.open(folder / "mp.h5")
    entry = next(iter(store.values()))
    started = time.process_time()
    features = prior_features(entry.structure, None, PRIOR)
    found = {"features": time.process_time() - started, "waves": float(len(entry.dcd))}
    found["kept features"] = float(sum(values.nbytes for values in vars(features).values()))
    encoder = EncoderSettings(channels=32, hidden=64, state=64, passes=1, cutoff=6.0, spin_channels=4, prior=PRIOR)
    settings = TrainSettings(
        data=("-",), encoder=encoder, steps=100, batch=BATCH, waves=1500, threads=1, device="cpu",
        loss=Loss(rms=1.0, coulomb=0.3, magnetisation=0.5),
    )  # fmt: skip
    elements = tuple(sorted(set(entry.structure.elements)))
    maker = Maker(elements, encoder, settings.basis, settings.waves, False)
    started = time.process_time()
    batch = [maker.sample(entry, features, (number,)) for number in range(BATCH)]
    found["sample"] = (time.process_time() - started) / BATCH
    times = [time.process_time()]
    run = partial(steps, settings, elements, features, batch)
    run(STEPS, lambda _: times.append(time.process_time()))
    found["step"] = statistics.median(np.diff(times)[1:]) / BATCH
    with FlopCounterMode(display=False) as counter:
        run(1)
    found["operations"] = counter.get_total_flops() / BATCH
    with Calls() as calls:
        run(2)
    found["calls"] = calls.count / 2
    return found


class Calls(TorchDispatchMode):
    """Counts what PyTorch calls one by one: on a GPU a launch each, or none for a view."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        self.count += not function.is_view
        return function(*arguments, **(named or {}))


def steps(
    settings: TrainSettings, elements: tuple[str, ...], features: PriorFeatures, batch: list[Sample], count: int,
    each: Callable[[float], None] = lambda _: None,
) -> None:  # fmt: skip
    """Steps of a training on one batch."""
    known = torch.tensor(properties(elements)).float()
    settings = replace(settings, steps=count, evaluations=1)
    scales = PriorScales.of([features])
    Trainer(settings, settings.encoder, settings.basis, known, 0, prior=scales).run(batch, [], each_step=each)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=int, default=100_000)
    parser.add_argument("--epochs", type=int, default=50, help="those of the shipped weights")
    parser.add_argument("--members", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = measure_build(Path(name)) | measure_training(Path(name))
        if CORPUS.is_dir():
            print_real(Path(name))
    n, seen = options.structures, options.structures * options.epochs * options.members
    print("measured on one structure:")
    print("  download {download:.3g} bytes, entry {entry:.3g} bytes of {waves:.0f} waves".format(**found))
    print(
        "  CPU seconds: build {build:.2f}, features {features:.2f}, sample {sample:.3f}, step {step:.3f}".format(
            **found
        )
    )
    print("  a step of {} structures: {:.3g} operations in matrix products, {:.0f} calls of PyTorch".format(
        BATCH, BATCH * found["operations"], found["calls"]))  # fmt: skip
    print(f"{n} structures: download {n * found['download'] / 1e12:.2g} TB, stores {n * found['entry'] / 1e9:.0f} GB, "
          f"features {n * found['kept features'] / 1e9:.1f} GB in {n} files")  # fmt: skip
    print(f"  build {n * found['build'] / 3600:.0f} CPU hours, features {n * found['features'] / 3600:.0f}")
    print(f"  training, {options.epochs} epochs, {options.members} members: {seen:.3g} structures seen, "
          f"{seen * found['step'] / 3600:.0f} CPU hours of steps, {seen * found['sample'] / 3600:.0f} of samples, "
          f"{seen * found['operations']:.2g} operations")  # fmt: skip


if __name__ == "__main__":
    main()
