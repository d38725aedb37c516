"""Make examples/si/CHGCAR: the self-consistent density of silicon, from a free code.

    python examples/make_chgcar.py Si.upf        (needs pw.x of Quantum ESPRESSO on the PATH; about a minute)

Quantum ESPRESSO computes the density with a norm-conserving potential (UPF with PP_RHOATOM); its own overlapping atoms
are taken off, which leaves the difference density, and chgtools' built-in atoms are put in their place. So the file
holds what a CHGCAR of VASP would hold outside the cores, without a number of VASP in it. It has no augmentation
occupancies and is no restart file: it is there to try ``make-dcd``, ``info``, ``plot`` and ``compare`` on.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import chgtools
from chgtools.formats import chgcar, poscar
from chgtools.formats.upf import read_upf
from chgtools.fourier.resampling import resample
from chgtools.units import BOHR_ANGSTROM
from chgtools.volumetric import VolumetricData

FOLDER = Path(__file__).resolve().parent / "si"
INPUT = """&control calculation='scf' prefix='x' outdir='{folder}' pseudo_dir='{pseudo}' /
&system ibrav=0 nat=2 ntyp=1 ecutwfc=40 occupations='fixed' nr1=48 nr2=48 nr3=48 /
&electrons conv_thr=1e-10 /
ATOMIC_SPECIES
Si 1.0 {upf}
CELL_PARAMETERS angstrom
{cell}
ATOMIC_POSITIONS crystal
{positions}
K_POINTS automatic
8 8 8 0 0 0
"""


def read_charge(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Miller indices (n, 3) and coefficients (n,) in electrons/bohr³ of a charge-density.dat.

    Fortran records with 4-byte markers: (gamma_only, n, nspin), reciprocal vectors, Miller indices, coefficients.
    """
    raw, records, at = path.read_bytes(), [], 0
    while at < len(raw):
        size = int(np.frombuffer(raw, "<i4", 1, at)[0])
        records.append(raw[at + 4 : at + 4 + size])
        at += size + 8
    if np.frombuffer(records[0], "<i4")[0]:
        raise SystemExit("a gamma-only file holds half of the sphere; run with a k-point mesh")
    return np.frombuffer(records[2], "<i4").reshape(-1, 3), np.frombuffer(records[3], "<c16")


def main() -> None:
    upf = Path(sys.argv[1]).resolve()
    atoms = poscar.read(FOLDER / "POSCAR")
    shape = (48, 48, 48)
    with tempfile.TemporaryDirectory() as name:
        text = INPUT.format(
            folder=name,
            pseudo=upf.parent,
            upf=upf.name,
            cell="\n".join(" ".join(f"{x:.12f}" for x in row) for row in atoms.lattice),
            positions="\n".join("Si " + " ".join(f"{x:.12f}" for x in row) for row in atoms.frac),
        )
        (Path(name) / "in").write_text(text)
        subprocess.run(["pw.x", "-in", "in"], cwd=name, check=True, stdout=subprocess.DEVNULL)
        miller, coefficients = read_charge(Path(name) / "x.save" / "charge-density.dat")
    box = np.zeros(shape, complex)
    box[tuple((miller % shape).T)] = coefficients / BOHR_ANGSTROM**3
    total = np.asfortranarray(np.fft.ifftn(box).real * box.size)
    difference = total - chgtools.saed(atoms, shape, [read_upf(upf)])
    settings = chgtools.predict(FOLDER / "POSCAR")  # the grid VASP would use, and the built-in atoms
    density = settings.data.total + resample(difference, settings.data.shape)
    data = VolumetricData("CHGCAR", atoms, [density])
    chgcar.write(data, FOLDER / "CHGCAR")
    print(f"{FOLDER / 'CHGCAR'}: grid {data.shape}, {data.electrons:.6f} electrons, minimum {density.min():.4f} e/Å³")


if __name__ == "__main__":
    main()
