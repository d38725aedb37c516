"""Make each wrong edit of ``mutants.py`` in a copy of the checkout, and see whether the tests notice.

    python tests/mutants/run.py                  # all; a few seconds each
    python tests/mutants/run.py --only 1 6 9     # some, by their numbers
    python tests/mutants/run.py --jobs 2

The test files that a mutant names run first and stop at the first failure. Where they pass, the rest of the suite runs
but for the files in ``SLOW``; ``--named`` leaves that out. A mutant that no test notices survived: either a test is
missing, or the edit changes nothing that anyone could see. The working tree is copied once for each job and never
written to.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from queue import Queue

from mutants import MUTANTS, Mutant

CHECKOUT = Path(__file__).resolve().parents[2]
COPIED = ("chgtools", "tests", "examples", "potcar_densities")  # what a test may write beside, or a mutant changes
LINKED = ("benchmarks", "docs", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", ".ci", "constraints.txt")
# No physics of the package is in them: commands of the documentation, other programs, packaging, random damage
SLOW = ("docs", "hpc_scripts", "integrations_custodian", "integrations_jobflow", "damaged", "records_corpus", "packaging",
        "benchmarks", "structures_materials", "tightbinding", "fortran_reader", "mutants", "architecture", "site")  # fmt: skip
LONGEST = 420  # seconds of one run of pytest: a mutant that never ends is noticed as well


def copy_to(folder: Path) -> None:
    """The checkout in ``folder``. Compiled kernels come along: their sources keep their times."""

    def ignored(directory: str, names: list[str]) -> set[str]:
        kernels = Path(directory).name == "kernels"
        return {name for name in names if name == "__pycache__" and not kernels}

    for name in COPIED:
        shutil.copytree(CHECKOUT / name, folder / name, ignore=ignored)
    shutil.copy2(CHECKOUT / "pyproject.toml", folder)
    for name in LINKED:
        if (CHECKOUT / name).exists():
            (folder / name).symlink_to(CHECKOUT / name)


def environment(folder: Path) -> dict[str, str]:
    """The copy goes before an installed package; its bytecode is not kept, as a mutant may change within a second."""
    shared = os.environ.get("CHGTOOLS_SHARED", str(CHECKOUT.parent / "shared"))
    return os.environ | {
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CHGTOOLS_SHARED": shared,
        "OMP_NUM_THREADS": "1",
    }


def passes(folder: Path, names: Sequence[str]) -> tuple[bool, str]:
    """Whether test files pass, and which test failed first (or "timeout")."""
    paths = [f"tests/test_{name}.py" for name in names if (folder / f"tests/test_{name}.py").exists()]
    if not paths:
        return True, ""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--no-header", *paths]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=LONGEST
        )
    except subprocess.TimeoutExpired:
        return False, "timeout"
    first = [line.split(" - ")[0] for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return done.returncode == 0, (first or [done.stderr.strip()[-200:]])[0].removeprefix("FAILED tests/test_")


@contextmanager
def mutated(folder: Path, mutant: Mutant) -> Iterator[None]:
    path = folder / "chgtools" / mutant.file
    text, times = path.read_text(), path.stat()
    if text.count(mutant.old) != 1:
        raise SystemExit(f"{mutant.file}: {mutant.old!r} stands there {text.count(mutant.old)} times, wanted once")
    if mutant.file.startswith("kernels/"):  # compiled callers hold the old code
        shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)
    path.write_text(text.replace(mutant.old, mutant.new))
    try:
        yield
    finally:
        path.write_text(text)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def tried(folder: Path, mutant: Mutant, fast: Sequence[str]) -> tuple[bool, str, float]:
    """(noticed, by which test, seconds)"""
    begin = time.perf_counter()
    with mutated(folder, mutant):
        named = mutant.tests.split()
        passed, first = passes(folder, named)
        if passed and fast:
            passed, first = passes(folder, [name for name in fast if name not in named])
            if first.startswith("ERROR "):  # which a mutant that the named files pass does not bring about
                raise SystemExit(f"{first.removeprefix('ERROR ')} cannot be collected in a copy; wanted it in SLOW")
            first = f"{first} (not named)"
    return not passed, "" if passed else first, time.perf_counter() - begin


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="these mutants, counted from 1")
    parser.add_argument("--jobs", type=int, default=1, help="copies that are tested at the same time")
    parser.add_argument("--named", action="store_true", help="run the named test files alone")
    options = parser.parse_args()
    os.nice(10)
    chosen = options.only or range(1, len(MUTANTS) + 1)
    everything = sorted(path.stem.removeprefix("test_") for path in (CHECKOUT / "tests").glob("test_*.py"))
    fast = [] if options.named else [name for name in everything if name not in SLOW]
    with tempfile.TemporaryDirectory() as temporary:
        folders: Queue[Path] = Queue()
        for job in range(options.jobs):
            copy_to(folder := Path(temporary) / f"copy{job}")
            folders.put(folder)
        where = subprocess.run(
            [sys.executable, "-c", "import chgtools; print(chgtools.__file__)"], cwd=temporary,
            env=environment(folder), capture_output=True, text=True, check=True,
        )  # fmt: skip
        if not where.stdout.startswith(str(folder)):
            raise SystemExit(f"Python imports {where.stdout.strip()} in place of the copy; nothing would be tested")
        needed = sorted({name for n in chosen for name in MUTANTS[n - 1].tests.split()})
        begin = time.perf_counter()
        broken = [name for name in needed if not passes(folder, [name])[0]]
        print(f"without a mutant: {len(needed)} test files, {time.perf_counter() - begin:.0f} s", flush=True)
        if broken:
            print(f"fail already, and are left out: {' '.join(broken)}", flush=True)
            fast = [name for name in fast if name not in broken]

        def work(number: int) -> tuple[int, bool, str, float]:
            mutant = MUTANTS[number - 1]
            mutant = mutant._replace(tests=" ".join(name for name in mutant.tests.split() if name not in broken))
            folder = folders.get()
            try:
                return (number, *tried(folder, mutant, fast))
            finally:
                folders.put(folder)

        survivors = []
        print(f"{'no.':>4s} {'file':28s} {'':9s}{'s':>6s}  noticed by, or what it breaks")
        with ThreadPoolExecutor(options.jobs) as pool:
            for future in as_completed([pool.submit(work, number) for number in chosen]):
                number, noticed, first, seconds = future.result()
                if not noticed:
                    survivors.append(number)
                mutant = MUTANTS[number - 1]
                word, said = ("caught", first) if noticed else ("SURVIVED", mutant.breaks)
                print(f"{number:4d} {mutant.file:28s} {word:9s}{seconds:6.1f}  {said}", flush=True)
    caught = len(chosen) - len(survivors)
    print(f"caught {caught} of {len(chosen)} ({100 * caught / len(chosen):.1f} %), survivors: {sorted(survivors)}")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
