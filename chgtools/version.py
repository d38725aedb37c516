"""The version that files carry as their maker."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def package_version() -> str:
    """Version of the installed package; "unknown" in a checkout that is not installed."""
    try:
        return version("chgtools")
    except PackageNotFoundError:
        return "unknown"
