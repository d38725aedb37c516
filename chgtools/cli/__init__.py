"""The command line: ``chgtools COMMAND``. Command modules are imported when they are called, not before.

Each command is a shell over one library function. What it raises is worded here for all: a ChgtoolsError or a
failure of the operating system is one sentence on stderr and exit code 1; wrong usage is exit code 2.
"""

from __future__ import annotations

import errno
import importlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import click

from chgtools.errors import AssumptionWarning, ChgtoolsError

# name: (module:attribute, how its help begins, which is shown without importing the module)
COMMANDS = {
    "predict": ("chgtools.cli.predict:predict", "Write the start density of POSCAR as a CHGCAR"),
    "prepare": ("chgtools.cli.prepare:prepare", "Make the run folder RUN ready for VASP"),
    "make-dcd": ("chgtools.cli.make_dcd:make_dcd", "Write the difference density of CHGCAR"),
    "saed": ("chgtools.cli.saed:saed", "Write the superposition of atomic electron densities of POSCAR"),
    "grid": ("chgtools.cli.grid:grid", "Print the FFT grids NGX NGY NGZ and NGXF NGYF NGZF that VASP will use"),
    "info": ("chgtools.cli.info:info", "Print what a volumetric file holds"),
    "compare": ("chgtools.cli.info:compare", "Print how far the density A is from the reference B"),
    "charges": ("chgtools.cli.charges:charges", "Print Hirshfeld charges, moments and dipoles of the atoms of FILE"),
    "convert": ("chgtools.cli.convert:convert", "Convert a volumetric file; the formats are told by the names"),
    "check": ("chgtools.cli.check:check", "Print what VASP will refuse, drop or misread in CHGCAR, and how to mend it"),
    "plot": ("chgtools.cli.plot:plot", "Draw a plane, a planar average or an isosurface of a field as a picture"),
    "report": (
        "chgtools.cli.report:report",
        "Write a page on a density: a view that can be turned, planes, averages, charges, facts, what `check` finds",
    ),
    "densities": ("chgtools.cli.densities:densities", "Build, list and show libraries of atomic densities"),
    "dataset": (
        "chgtools.cli.dataset:dataset",
        "Build, join, split and list stores of difference densities to train on",
    ),
    "train": ("chgtools.cli.train:train", "Train weights for `chgtools predict --model`"),
    "evaluate": ("chgtools.cli.evaluate:evaluate", "Print the errors of weights on stores"),
}
INTERRUPTED = 130  # 128 + SIGINT, what a shell reports for Ctrl-C


class Sentence(click.ClickException):
    """What went wrong, in lines that fit the terminal."""

    def format_message(self) -> str:
        import sys

        from chgtools.cli.screen import fitted

        head = "Error: "  # click's own, which stands before the first line
        return fitted(self.message, head, "  ", stream=sys.stderr).removeprefix(head)


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _assumptions_on_stderr():
                return super().invoke(ctx)
        except ChgtoolsError as error:
            raise Sentence(str(error)) from error
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
            ctx.exit(INTERRUPTED)
        except MemoryError as error:
            raise Sentence("not enough memory; a coarser grid needs less (ENCUT, PREC, NGXF)") from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of our output has gone: click ends quietly
                raise
            raise Sentence(_sentence(error)) from error


def _sentence(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason


@contextmanager
def _assumptions_on_stderr() -> Iterator[None]:
    """Print each AssumptionWarning of the library as a note; leave other warnings as they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", AssumptionWarning)
        show: Callable[..., None] = warnings.showwarning

        def note(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, AssumptionWarning):
                click.echo(f"note: {message}", err=True)
            else:
                show(message, category, filename, lineno, file, line)

        warnings.showwarning = note
        yield


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="chgtools", prog_name="chgtools")
def main() -> None:
    """Charge densities for VASP: POSCAR to CHGCAR, CHGCAR to training target.

    Results go to stdout, notes to stderr. Exit codes: 0 done, 1 bad input or failure, 2 wrong usage,
    3 a file that VASP would refuse, drop or misread (check, predict --batch, prepare), 130 stopped by Ctrl-C.
    """
