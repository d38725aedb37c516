"""jobflow: an atomate2 job that starts from a predicted density.

The prediction is made inside the VASP job, in its folder and from its own INCAR and POTCAR, so that the grid, the spin
blocks and the occupancies are those of the run, and no density travels through a database:

    maker = PredictedDensityMaker(StaticMaker())          # ICHARG = 1, SCF from the predicted density
    maker = PredictedDensityMaker(NonSCFMaker(), icharg=11)   # the density stays fixed
    run_locally(maker.make(structure))
"""

from __future__ import annotations

import logging
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomate2.vasp.files import write_vasp_input_set
from atomate2.vasp.jobs.base import BaseVaspMaker, vasp_job
from atomate2.vasp.jobs.core import StaticMaker
from atomate2.vasp.run import DEFAULT_HANDLERS
from jobflow import Maker

from chgtools.errors import ChgtoolsError
from chgtools.integrations.custodian import DensityNotReadHandler
from chgtools.integrations.pymatgen import write_charge

if TYPE_CHECKING:
    from jobflow import Response
    from pymatgen.core import Structure

logger = logging.getLogger(__name__)


@dataclass
class PredictedDensityMaker(Maker):  # type: ignore[misc, unused-ignore]
    """An atomate2 VASP maker whose run starts from the density that chgtools predicts.

    vasp_maker : a maker of one VASP job, such as StaticMaker, RelaxMaker or NonSCFMaker
    icharg : 1 (start of the SCF cycle) or 11 (the density stays fixed)
    model : weights of the learned difference density, as in chgtools.predict
    fall_back : where no density can be made that VASP will take, run the VASP maker as it is, with a warning in the
        log; otherwise the job fails. By default it falls back for ICHARG = 1 and fails for 11, which has no meaning
        without a density
    watch : add the monitor that stops the job when VASP does not read the density (custodian)
    name : of the job
    """

    vasp_maker: BaseVaspMaker = field(default_factory=StaticMaker)
    icharg: int = 1
    model: str = "auto"
    fall_back: bool | None = None
    watch: bool = True
    name: str = "from predicted density"

    def __post_init__(self) -> None:
        if self.icharg not in (1, 11):
            raise ValueError(f"found icharg = {self.icharg}; wanted 1 or 11")

    @vasp_job
    def make(self, structure: Structure, prev_dir: str | Path | None = None) -> Response:
        """Predict the density in the folder of the job, then run VASP there.

        prev_dir : a previous VASP run; with one, its density is better than a prediction and the VASP maker runs as
            it is
        Raises ChgtoolsError when there is no density to start from and fall_back does not allow to go on.
        """
        maker = deepcopy(self.vasp_maker)
        if prev_dir is None and self._density(structure, maker):
            maker = self._reading(maker)
        run: Any = type(maker).make  # jobflow keeps the function that it made a job of as "original"
        return run.original(maker, structure, prev_dir)

    def _density(self, structure: Structure, maker: BaseVaspMaker) -> bool:
        """Write the CHGCAR of the run into the current folder; False where there is none and the run falls back."""
        try:
            write_density(structure, self._reading(maker), self.model)
        except ChgtoolsError as error:
            allowed = self.icharg == 1 if self.fall_back is None else self.fall_back
            if not allowed:
                raise
            logger.warning("no predicted density, VASP starts from its atoms: %s", error)
            Path("CHGCAR").unlink(missing_ok=True)
            return False
        return True

    def _reading(self, maker: BaseVaspMaker) -> BaseVaspMaker:
        """A copy of a VASP maker that reads the CHGCAR of its folder."""
        maker = deepcopy(maker)
        generator = maker.input_set_generator
        generator.user_incar_settings = {**generator.user_incar_settings, "ICHARG": self.icharg}
        if self.watch:
            handlers = maker.run_vasp_kwargs.get("handlers", DEFAULT_HANDLERS)
            maker.run_vasp_kwargs = {**maker.run_vasp_kwargs, "handlers": [*handlers, DensityNotReadHandler()]}
        return maker


def write_density(structure: Structure, maker: BaseVaspMaker, model: str = "auto") -> None:
    """Write the inputs of a VASP maker and the predicted CHGCAR into the current folder.

    Raises ChgtoolsError when the prediction fails, or the file is not ready for a run that keeps its density fixed.
    """
    options: dict[str, Any] = {**maker.write_input_set_kwargs, "from_prev": False}
    write_vasp_input_set(structure, maker.input_set_generator, **options)
    write_charge(Path(), model)
