"""A data set of thousands of CHGCARs by an array of tasks, one of which is killed by SIGKILL and started again.

python benchmarks/speed/build_at_scale.py [--count 5000] [--tasks 8] [--at-once 2] [--folder DIR]

Makes an archive of CHGCARs of mixed sizes, a third of them compressed (few densities, each file with a title of its
own), builds it in tasks, joins the stores and looks whether anything is lost or there twice. Prints files and CPU
seconds, the time that a finished build takes to see that it is finished, and what an index of 100,000 entries takes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

import chgtools
from chgtools.formats import chgcar
from chgtools.stores.index import Index, write_index
from chgtools.stores.kinds import kinds_of
from chgtools.stores.splits import split
from chgtools.stores.store import Store
from chgtools.volumetric import VolumetricData

# edge of the cell in Å, points along it, share of the files
SIZES = ((3.9, 20, 0.5), (5.4, 32, 0.35), (8.1, 48, 0.15))


def originals(folder: Path) -> list[bytes]:
    """The text of a CHGCAR of each size behind its title: superposed atoms, with charge moved by a few waves."""
    texts = []
    for edge, n, _ in SIZES:
        atoms = chgtools.Structure(np.eye(3) * edge, ("Na", "Cl"), (1, 1), [[0.02, 0, 0], [0.5, 0.5, 0.48]])
        reference = chgtools.saed(atoms, (n,) * 3, source=chgtools.Source())
        x, y, z = np.meshgrid(*(2 * np.pi * np.arange(n) / n,) * 3, indexing="ij")
        density = reference * (1 + 0.02 * np.cos(x + 2 * y) * np.cos(z) - 0.01 * np.sin(3 * z))
        electrons = round(float(reference.mean()) * edge**3)
        density *= electrons / (density.mean() * edge**3)
        path = folder / f"original.{n}.CHGCAR"
        chgcar.write(VolumetricData("CHGCAR", atoms, [np.asfortranarray(density)]), path)
        texts.append(path.read_bytes().partition(b"\n")[2])
        path.unlink()
    return texts


def make_archive(folder: Path, count: int) -> list[Path]:
    """CHGCARs in folders of a hundred; the same for the same count."""
    texts, chance, paths = originals(folder), random.Random(0), []
    for index in range(count):
        (text,) = chance.choices(texts, [share for _, _, share in SIZES])
        content = f"structure {index}\n".encode() + text
        path = folder / f"{index // 100:03d}" / f"{index:06d}.CHGCAR{'.gz' * (index % 3 == 0)}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress(content, 1, mtime=0) if path.suffix == ".gz" else content)
        paths.append(path)
    return paths


class Array:
    """The tasks of an array, some at once, as a scheduler starts them."""

    def __init__(self, folder: Path, tasks: int) -> None:
        self.folder, self.tasks, self.killed = folder, tasks, 0
        environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(chgtools.__file__).resolve().parents[1])}
        self.environment = {**os.environ, **environment}

    def command(self, *more: str) -> list[str]:
        return [sys.executable, "-m", "chgtools", "dataset", "build", "--list", "list", "-o", "all.h5", *more]

    def start(self, task: int) -> subprocess.Popen[bytes]:
        log = (self.folder / f"task.{task}.log").open("ab")
        shard = ("--shard", f"{task}/{self.tasks}")
        return subprocess.Popen(
            self.command(*shard), cwd=self.folder, env=self.environment, stdout=log, stderr=subprocess.STDOUT
        )

    def manifest(self, task: int) -> Path:
        return self.folder / f"all.h5.manifest.{task}-of-{self.tasks}.jsonl"

    def run(self, at_once: int, count: int) -> None:
        """Run all tasks; the second is killed when a third of its files is done, and started again at the end."""
        waiting, running = list(range(1, self.tasks + 1)), {}
        victim, enough = 2, max(1, count // self.tasks // 3)
        while waiting or running:
            while waiting and len(running) < at_once:
                task = waiting.pop(0)
                running[task] = self.start(task)
            time.sleep(0.05)
            if not self.killed and victim in running and lines(self.manifest(victim)) >= enough:
                self.kill(running[victim])
            for task, process in list(running.items()):
                if process.poll() is not None:
                    del running[task]
                    if process.returncode == -signal.SIGKILL:
                        waiting.append(task)
                    elif process.returncode:
                        raise SystemExit(
                            f"task {task} failed:\n{(self.folder / f'task.{task}.log').read_text()[-2000:]}"
                        )

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL, as a scheduler does it at last; the processes that it had started must end by themselves."""
        children = children_of(process.pid)
        process.kill()
        process.wait()
        self.killed += 1
        until = time.monotonic() + 30
        while any(map(is_there, children)):
            if time.monotonic() > until:
                raise SystemExit("a process outlived the task that started it")
            time.sleep(0.05)

    def again(self) -> tuple[float, float, str]:
        """Seconds, those of CPU, and last line of a call for all files, when all is done."""
        started, before = time.perf_counter(), children_cpu()
        done = subprocess.run(
            self.command(), cwd=self.folder, env=self.environment, capture_output=True, text=True, check=True
        )
        return time.perf_counter() - started, children_cpu() - before, done.stdout.strip()


def children_cpu() -> float:
    """CPU seconds of processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def is_there(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for has no command line."""
    path = Path(f"/proc/{pid}/cmdline")
    try:
        return bool(path.read_bytes())
    except OSError:
        return False


def children_of(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def check(array: Array, files: list[Path]) -> None:
    """Raise SystemExit when something is lost or there twice."""
    records = [
        json.loads(line) for task in range(1, array.tasks + 1) for line in array.manifest(task).read_text().splitlines()
        if line.endswith("}")
    ]  # fmt: skip
    wanted = {str(path.relative_to(array.folder)) for path in files}
    if {record["file"] for record in records} != wanted:
        raise SystemExit("the manifests do not have all files")
    added = Counter(name for record in records if record["status"] == "added" for name in record["entries"])
    joined = Store.open(array.folder / "index.h5")
    if len(joined) != len(files) or max(added.values()) > 1 or not set(added) <= set(joined):
        raise SystemExit(f"{len(joined)} entries of {len(files)} files, {max(added.values())} times one")
    stores = [Store.open(part) for part in joined.parts()]
    if sum(map(len, stores)) != len(files):
        raise SystemExit("an entry is in two stores")
    for name in list(joined)[:: max(1, len(files) // 50)]:
        assert np.isfinite(joined[name].dcd).all()
    seconds = sum(record["cpu_seconds"] for record in records)
    print(
        f"nothing lost, nothing twice: {len(joined)} entries in {len(stores)} stores, {len(records)} lines of manifests"
    )
    print(f"CPU seconds a file by the manifests (reading, hashing, computing): {seconds / len(files):.3f}")


def measure_index(folder: Path, count: int) -> None:
    """What is asked of an index before a training, on one with invented rows."""
    chance = np.random.default_rng(0)
    rows = [
        {"name": f"NaCl-{i:06d}-{i:012x}", "entry": f"NaCl-{i:06d}-{i:012x}", "formula": "NaCl", "kind": f"kind{i % 9}",
         "source_sha256": f"{i:064x}", "elements": ["Na"] * int(a) + ["Cl"] * int(a), "n_waves": 4000, "spins": 0,
         "nelectrons": 8.0 * a, "saed_eps_mae_percent": 5.0, "store": i % 100, "functional": "PBE",
         "labels": "Na_pv Cl", "moments_on": ""}
        for i, a in enumerate(chance.integers(1, 60, count))
    ]  # fmt: skip
    path = folder / "many.h5"
    write_index(path, Index.of([f"{i}.h5" for i in range(100)], [(0, 0)] * 100, rows))
    times = {}
    for what, action in (
        ("open", lambda: Store.open(path)),
        ("facts of all", lambda: sum(1 for _ in Store.open(path).facts())),
        ("kinds", lambda: kinds_of(Store.open(path))),
        ("split", lambda: split(path)),
        ("one split", lambda: Store.open(path).in_split("train")),
    ):
        started = time.process_time()
        action()
        times[what] = time.process_time() - started
    print(f"index of {count} entries, CPU seconds: " + ", ".join(f"{what} {t:.2f}" for what, t in times.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=5000, help="CHGCARs; 0.4 MB each")
    parser.add_argument("--tasks", type=int, default=8)
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the archive is made; by default a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        files = make_archive(folder, options.count)
        size = sum(path.stat().st_size for path in files)
        (folder / "list").write_text("".join(f"{path.relative_to(folder)}\n" for path in files))
        print(f"{len(files)} CHGCARs, {size / 1e6:.0f} MB")
        array = Array(folder, options.tasks)
        started, before = time.perf_counter(), children_cpu()
        array.run(options.at_once, len(files))
        wall, cpu = time.perf_counter() - started, children_cpu() - before
        print(f"{options.tasks} tasks, {options.at_once} at once, {array.killed} killed and started again: "
              f"{wall:.0f} s, {len(files) / wall:.1f} files/s, {cpu / len(files):.3f} CPU seconds a file")  # fmt: skip
        stores = [f"all.{task}-of-{options.tasks}.h5" for task in range(1, options.tasks + 1)]
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "chgtools", "dataset", "join", "-o", "index.h5", *stores], cwd=folder, check=True,
            env=array.environment, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        print(f"joined in {time.perf_counter() - started:.1f} s")
        check(array, files)
        print("a finished build, called again: {:.1f} s, {:.1f} of CPU; {}".format(*array.again()))
        measure_index(folder, 100_000)


if __name__ == "__main__":
    main()
