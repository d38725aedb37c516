"""pymatgen: an input set whose run starts from a predicted density.

Any VaspInputSet, with the CHGCAR beside its INCAR, KPOINTS, POSCAR and POTCAR:

    PredictedDensitySet(MPStaticSet(structure)).write_input("run")             # ICHARG = 1, SCF from the prediction
    PredictedDensitySet(MPNonSCFSet(structure), icharg=11).write_input("run")  # the density stays fixed

The density is made for the files that the set writes, so that grid, spin and atoms in their order are those of the run.
"""

from __future__ import annotations

import logging
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pymatgen.io.core import InputGenerator

from chgtools.errors import ChgtoolsError, SettingsError
from chgtools.start.writing import STATEMENT, StartOptions, write_start

if TYPE_CHECKING:
    from pymatgen.core import Structure
    from pymatgen.io.vasp.sets import VaspInput, VaspInputSet

    from chgtools.start.writing import Start

logger = logging.getLogger(__name__)


@dataclass
class PredictedDensitySet(InputGenerator):
    """A pymatgen VaspInputSet with ICHARG, and the CHGCAR that it reads.

    vasp_input_set : any set, such as MPStaticSet(structure); it stays as it is
    icharg : 1 (start of the SCF cycle) or 11 (the density stays fixed)
    model : weights of the learned difference density, as in chgtools.predict
    """

    vasp_input_set: VaspInputSet
    icharg: int = 1
    model: str = "auto"

    def __post_init__(self) -> None:
        if self.icharg not in (1, 11):
            raise SettingsError(f"found icharg = {self.icharg}; wanted 1 or 11")

    def get_input_set(
        self, structure: Structure | None = None, prev_dir: str | Path | None = None, potcar_spec: bool = False
    ) -> VaspInput:
        """INCAR with ICHARG, KPOINTS, POSCAR and POTCAR, as of any set; the CHGCAR comes with ``write_input`` alone."""
        return self._reading().get_input_set(structure, prev_dir, potcar_spec)

    def write_input(
        self, output_dir: str | Path, make_dir_if_not_present: bool = True, include_cif: bool | str = False
    ) -> Start:
        """Write the inputs of the set, and the CHGCAR beside them; returns what is known of it.

        Needs POTCARs (pymatgen's PMG_VASP_PSP_DIR): without them there are no augmentation occupancies.
        Raises ChgtoolsError when the prediction fails or VASP would not take the file; then there is no CHGCAR.
        """
        self._reading().write_input(str(output_dir), make_dir_if_not_present, include_cif)
        return write_charge(Path(output_dir), self.model)

    def _reading(self) -> VaspInputSet:
        """A copy of the set whose run reads the CHGCAR of its folder."""
        made = deepcopy(self.vasp_input_set)
        made.user_incar_settings = {**made.user_incar_settings, "ICHARG": self.icharg}
        return made


def write_charge(folder: Path, model: str = "auto") -> Start:
    """Write the CHGCAR for the POSCAR, INCAR and POTCAR of a folder.

    Raises ChgtoolsError when the prediction fails, or VASP would not take the file; then there is no CHGCAR.
    """
    output = folder / "CHGCAR"
    start = write_start(folder / "POSCAR", output, StartOptions(model=model))
    for sentence in start.prediction.assumptions:
        logger.info(sentence)
    hindering = [finding for finding in start.findings if finding.code != STATEMENT]
    if hindering:
        output.unlink()
        raise ChgtoolsError("; ".join(map(str, hindering)))
    return start
