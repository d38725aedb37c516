"""Are density matrices those of wave functions on the projectors as they are read here? GPAW's own, projected.

    python benchmarks/gpaw/projected_waves.py [Si MgO GaAs Cu] [--python /usr/bin/python3]

What prior_occupancies.py does with the wave functions of tight binding, done with those of GPAW (gpaw_waves.py, which
its Python runs): ⟨p_i|ψ⟩ = Σ_q c_q 4π i^l Y_lm(q) ∫ r² p_i(r) j_l(qr) dr exp(iq·R), with its setups as
gpaw_setups.py reads them. Columns: how far Σ f ⟨ψ|p_i⟩⟨p_j|ψ⟩ is from GPAW's density matrices, root of Σ|Δ|² over
Σ|D|² of each atom, percent; and what a record in VASP's form, packed and unpacked, leaves out of them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from gpaw_setups import setup
from scipy.special import spherical_jn

from chgtools.kernels.harmonics import harmonics
from chgtools.paw.records import matrix_from_record, record_from_matrix

NAMES = ("Si", "MgO", "GaAs", "Cu")


def projections(element: str, position: np.ndarray, q: np.ndarray, waves: np.ndarray) -> np.ndarray:
    """(n_bands, n_m) ⟨p_i|ψ⟩. position : (3,) bohr; q : (n_G, 3) 1/bohr; waves : (n_bands, n_G)"""
    own, length = setup(element), np.linalg.norm(q, axis=1)
    angular = harmonics(int(own.ell.max()), q / np.maximum(length, 1e-12)[:, None])
    phase, found = np.exp(1j * q @ position), []
    for ell, projector in zip(own.ell, own.projectors, strict=True):
        transform = (spherical_jn(int(ell), np.outer(length, own.r)) * own.r**2 * own.dr) @ projector
        for harmonic in angular[ell**2 : (ell + 1) ** 2]:
            found.append(waves @ (4 * np.pi * 1j**ell * harmonic * transform * phase))
    return np.stack(found, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME")
    parser.add_argument("--python", default="/usr/bin/python3", help="GPAW's Python (default: %(default)s)")
    arguments = parser.parse_args()
    print(f"{'crystal':8s}{'atom':6s}{'channels':10s}{'off by %':>12s}{'record leaves out %':>22s}")
    for name in arguments.names:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "waves.npz"
            script = Path(__file__).with_name("gpaw_waves.py")
            subprocess.run([arguments.python, str(script), name, str(out)], check=True, stdout=sys.stderr)
            with np.load(out) as file:
                show(name, dict(file))


def show(name: str, values: dict[str, np.ndarray]) -> None:
    """A line for each atom."""
    for atom, element in enumerate(values["symbols"]):
        wanted = values[f"D{atom}"]
        found = np.zeros_like(wanted)
        for k in range(int(values["points"])):
            seen = projections(str(element), values["positions"][atom], values[f"q{k}"], values[f"c{k}"])
            found += ((seen.conj() * values[f"f{k}"][:, None]).T @ seen).real
        channels = tuple(setup(str(element)).ell.tolist())
        packed = matrix_from_record(channels, record_from_matrix(channels, wanted))
        off, lost = (100 * np.linalg.norm(each - wanted) / np.linalg.norm(wanted) for each in (found, packed))
        letters = "".join("spdf"[ell] for ell in channels)
        print(f"{name:8s}{element:6s}{letters:10s}{off:12.5f}{lost:22.5f}", flush=True)


if __name__ == "__main__":
    main()
