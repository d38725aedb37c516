"""What VASP will refuse, drop or misread in a CHGCAR, before the job is queued; and whether it read the file, after.

:func:`check_file` reads a file to its end, whatever is wrong with it, and holds it against the POSCAR, INCAR and POTCAR
of the run; ``chgtools.check("CHGCAR")`` is the same. :func:`mend_file` mends what can be mended without a guess.
:func:`check_run` reads what a job printed.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chgtools.check.charge_file import check_file
    from chgtools.check.findings import Finding, Report, RunReport
    from chgtools.check.finished_run import check_run
    from chgtools.check.mend import Mending, mend_file

__all__ = ["Finding", "Mending", "Report", "RunReport", "check_file", "check_run", "mend_file"]
_HOME = {
    "Finding": "findings",
    "Report": "findings",
    "RunReport": "findings",
    "check_file": "charge_file",
    "check_run": "finished_run",
    "Mending": "mend",
    "mend_file": "mend",
}


def __getattr__(name: str) -> Any:
    """Load a name when it is first used, so that what needs check_run alone does not import the scanner."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"chgtools.check.{_HOME[name]}"), name)


class _Room(ModuleType):
    """The top of the package offers check(...) beside read and predict, and this room has the name already."""

    def __call__(self, *args: Any, **inputs: Any) -> Report:
        from chgtools.check.charge_file import check_file

        return check_file(*args, **inputs)


sys.modules[__name__].__class__ = _Room
