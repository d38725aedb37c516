"""Cost of a learned difference density: the network and the grid, on one thread, against atoms and grid points.

    python benchmarks/speed/model_speed.py [--model base] [--large]
    python benchmarks/speed/model_speed.py --torch

CPU seconds after import and after one small structure (compilation, tables), and the peak memory of the process.
Published for one cell on the same kind of core: ChargE3Net 2.4 to 8 hours, DeepDFT 5 to 40 minutes; ELECTRAFI 0.17 s
per Materials Project cell on an A100. ``--large`` adds 1000 atoms on 240³. ``--torch`` times the networks alone
(without neighbours and tight binding) beside the torch modules that they are trained as, each case in a process of its
own, for its peak memory.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import argparse
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np

from chgtools.cell import Structure
from chgtools.fourier.basis import expand
from chgtools.models.model import DensityModel
from chgtools.models.weights import load_model
from chgtools.tightbinding.features import PriorFeatures


def crystal(repeat: tuple[int, int, int], leave: int = 0) -> Structure:
    """Rattled rock salt, 8 atoms in 5.6 Å for each repeat, less the last ``leave`` atoms."""
    rng = np.random.default_rng(0)
    cube = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    shifts = np.stack(np.meshgrid(*(np.arange(n) for n in repeat), indexing="ij"), -1).reshape(-1, 1, 3)
    sodium, chlorine = ((cube + shifts + s).reshape(-1, 3) / repeat for s in (0.0, 0.5))
    frac = np.concatenate([sodium, chlorine[: len(chlorine) - leave]])
    frac += rng.normal(scale=0.05, size=frac.shape) / (5.6 * np.array(repeat))
    return Structure(np.diag(5.6 * np.array(repeat, float)), ("Na", "Cl"), (len(sodium), len(chlorine) - leave), frac)


def timed(model: DensityModel, structure: Structure, shape: tuple[int, int, int]) -> tuple[float, float]:
    """CPU seconds of the network (all members, neighbours included) and of the grid."""
    start = time.process_time()
    coefficients = model.predict(structure).coefficients
    middle = time.process_time()
    expand(structure, coefficients, model.basis, shape)
    return middle - start, time.process_time() - middle


def best(forward: Callable[[], object]) -> tuple[float, float]:
    """CPU seconds of the fastest of some calls, and by how many MiB the peak memory of the process grew."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(5):
        start = time.process_time()
        forward()
        seconds.append(time.process_time() - start)
    return min(seconds), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10


def forward_passes(name: str, repeat: tuple[int, int, int], leave: int, with_torch: bool) -> tuple[float, float]:
    """:func:`best` of all networks of a model on the density of a crystal."""
    model = replace(load_model(name), features_of=lambda structure, *_: PriorFeatures.zeros(structure.n_atoms))
    atoms = model.atoms(crystal(repeat, leave))
    if not with_torch:
        return best(lambda: [member.density(member.describe(atoms), atoms) for member in model.members])
    import torch

    from chgtools.training.torch_network.conversion import encoder_of
    from chgtools.training.torch_network.graph import TensorGraph

    torch.set_num_threads(1)
    batch, encoders = TensorGraph.of(atoms, torch.float64), [encoder_of(member).double() for member in model.members]
    with torch.no_grad():
        return best(lambda: [encoder(batch) for encoder in encoders])


def against_torch(name: str) -> None:
    print("atoms   NumPy s    MiB   torch s    MiB   NumPy / torch")
    for repeat, leave in (((1, 1, 1), 0), ((13, 1, 1), 4), ((5, 5, 2), 0)):
        found = []
        for with_torch in (False, True):
            with ProcessPoolExecutor(1) as process:
                found.append(process.submit(forward_passes, name, repeat, leave, with_torch).result())
        (here, memory), (there, torch_memory) = found
        atoms = 8 * int(np.prod(repeat)) - leave
        print(f"{atoms:5d}{here:10.4f}{memory:7.0f}{there:10.4f}{torch_memory:7.0f}{here / there:12.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="base")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--torch", action="store_true")
    arguments = parser.parse_args()
    if arguments.torch:
        against_torch(arguments.model)
        return
    model = load_model(arguments.model)
    timed(model, crystal((1, 1, 1)), (40, 40, 40))
    cases = [
        (crystal((2, 2, 1)), (120, 120, 120)),
        (crystal((2, 2, 2)), (120, 120, 120)),
        (crystal((3, 2, 2)), (120, 120, 120)),
        (crystal((5, 5, 2)), (120, 120, 120)),
        (crystal((13, 1, 1), 4), (120, 120, 120)),
        (crystal((13, 1, 1), 4), (60, 60, 60)),
        (crystal((13, 1, 1), 4), (160, 160, 160)),
    ]
    if arguments.large:
        cases.append((crystal((5, 5, 5)), (240, 240, 240)))
    print("atoms  grid            network s   grid s    both s   peak GiB")
    for structure, shape in cases:
        network, grid = min((timed(model, structure, shape) for _ in range(2)), key=sum)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        name = " x ".join(map(str, shape))
        times = f"{network:10.3f}{grid:9.3f}{network + grid:10.3f}"
        print(f"{structure.n_atoms:5d}  {name:15s}{times}{peak:11.2f}", flush=True)


if __name__ == "__main__":
    main()
