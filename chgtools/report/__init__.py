"""A page on one file: what it holds, what it looks like, and what VASP will say of it."""

from chgtools.report.contents import write_report
from chgtools.report.page import Table

__all__ = ["Table", "write_report"]
