"""A short repr, and the table that Jupyter shows, from one list of facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape


class Shown:
    """What a type says of itself: ``shown`` gives the facts, the two ways to print them follow from it.

    The repr is one line and never holds an array: a dataclass takes it with ``repr=False``.
    """

    def shown(self) -> Mapping[str, object]:
        """What there is to know of the object at a glance, by names that people use; None and "" are left out."""
        raise NotImplementedError

    def details(self) -> Sequence[str]:
        """Sentences that a notebook has room for, below the table."""
        return ()

    def _facts(self) -> list[tuple[str, str]]:
        return [(name, str(value)) for name, value in self.shown().items() if value is not None and str(value)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}: {value}' for name, value in self._facts())})"

    def _repr_html_(self) -> str:
        """The facts as a table, and the details below it, which Jupyter shows."""
        rows = "".join(
            f'<tr><th style="text-align:left">{escape(name)}</th><td style="text-align:left">{escape(value)}</td></tr>'
            for name, value in self._facts()
        )
        details = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.details())
        table = f"<table><caption>{escape(type(self).__name__)}</caption>{rows}</table>"
        return f"{table}<ul>{details}</ul>" if details else table


def times(shape: tuple[int, ...]) -> str:
    """The points of a grid as people write them: 24 x 24 x 36."""
    return " x ".join(map(str, shape))
