"""Libraries that pictures in three dimensions need and the core install does not bring: the extra ``pictures``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from chgtools.errors import ChgtoolsError

_PACKAGE = {"skimage": "scikit-image", "plotly": "plotly"}


def extra(module: str, what: str) -> Any:
    """A module such as ``skimage.measure``, imported; ``what`` needs it, in the plural ("isosurfaces").

    Raises ChgtoolsError, one sentence on what to install, where it is not there.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = _PACKAGE[module.split(".")[0]]
        raise ChgtoolsError(f"{what} need {package}, which is not there: pip install 'chgtools[pictures]'") from error
