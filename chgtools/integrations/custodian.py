"""custodian: notice a run whose CHGCAR was not read, while it runs or after it.

VASP goes on from superposed atoms when it cannot use a CHGCAR with ICHARG = 1, and its result says nothing of it. What
it printed does (see chgtools.check.finished_run). A Validator looks when the job has ended; the ErrorHandler is a
monitor, so custodian calls it while the job runs and terminates the job before it spends its hours:

    Custodian([*handlers, DensityNotReadHandler()], jobs, validators=[*validators, DensityReadValidator()])

Runs whose INCAR does not ask for the CHGCAR (ICHARG other than 1 and 11) pass both.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from custodian.custodian import ErrorHandler, Validator

from chgtools.check import check_run
from chgtools.errors import ChgtoolsError
from chgtools.run.folder import RunFolder

logger = logging.getLogger(__name__)


def density_not_read(directory: str | Path) -> str:
    """One sentence on why a run did not read its CHGCAR; "" when it did, or was not to, or when it cannot be told.

    Never raises: a folder without readable output is one of which nothing can be told.
    """
    folder = Path(directory)
    try:
        run = RunFolder.around(folder)
        if run.incar is not None and not run.tags.reads_chgcar:
            return ""
        report = check_run(folder)
    except ChgtoolsError as error:
        logger.warning("cannot tell whether the CHGCAR was read: %s", error)
        return ""
    return report.reason if report.read is False else ""


class DensityReadValidator(Validator):  # type: ignore[misc, unused-ignore]
    """Fails a finished job whose CHGCAR was not read; custodian raises ValidationError."""

    def check(self, directory: str = "./") -> bool:
        """True when the job fails, as custodian wants it."""
        reason = density_not_read(directory)
        if reason:
            logger.error(reason)
        return bool(reason)


class DensityNotReadHandler(ErrorHandler):  # type: ignore[misc, unused-ignore]
    """Stops a running job whose CHGCAR was not read; custodian raises NonRecoverableError.

    custodian asks its monitors every polling_time_step * monitor_freq seconds (10 s * 30 by default).
    """

    is_monitor = True
    is_terminating = True
    raises_runtime_error = True

    def __init__(self, restart: bool = False) -> None:
        """restart : do not give up, but run once more with ICHARG = 2 in the INCAR (VASP's own atoms); for ICHARG = 11
        that is another calculation than was asked for"""
        self.restart = restart
        self.reason = ""

    def check(self, directory: str = "./") -> bool:
        """True when the CHGCAR was not read."""
        self.reason = density_not_read(directory)
        return bool(self.reason)

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """What was wrong, and ICHARG = 2 where a restart is wanted; without one custodian stops."""
        if not self.restart:
            return {"errors": [self.reason], "actions": None}
        from pymatgen.io.vasp import Incar

        incar = Incar.from_file(Path(directory) / "INCAR")
        incar["ICHARG"] = 2
        incar.write_file(Path(directory) / "INCAR")
        return {"errors": [self.reason], "actions": [{"dict": "INCAR", "action": {"_set": {"ICHARG": 2}}}]}
