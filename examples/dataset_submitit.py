"""A data set of many CHGCARs by a job array that submitit sends, in place of a job script:

    pip install 'chgtools[submitit]'
    python examples/dataset_submitit.py chgcars.txt dataset.h5 --tasks 64 --partition standard
    python examples/dataset_submitit.py chgcars.txt dataset.h5 --tasks 2 --here        # on this machine

It waits for the array and joins the stores. Called again, it does what is not done, and leaves an index that is there
as it is.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", type=Path, help="file with a CHGCAR to a line")
    parser.add_argument("store", type=Path, metavar="STORE.h5")
    parser.add_argument("--tasks", type=int, default=8)
    parser.add_argument("--cpus", type=int, default=4, help="processes of a task")
    parser.add_argument("--hours", type=float, default=12)
    parser.add_argument("--partition", help="of Slurm")
    parser.add_argument("--here", action="store_true", help="processes of this machine, without Slurm")
    arguments = parser.parse_args()
    try:
        import submitit
    except ImportError:
        sys.exit("submitit is not there: pip install 'chgtools[submitit]'")

    executor = submitit.AutoExecutor(f"{arguments.store}.jobs", cluster="local" if arguments.here else None)
    executor.update_parameters(
        name="dataset", timeout_min=round(60 * arguments.hours), cpus_per_task=arguments.cpus, mem_gb=2 * arguments.cpus
    )
    if arguments.partition:
        executor.update_parameters(slurm_partition=arguments.partition)
    build = [sys.executable, "-m", "chgtools", "dataset", "build", "--list", str(arguments.list)]
    tasks = range(1, arguments.tasks + 1)
    jobs = executor.map_array(
        lambda task: submitit.helpers.CommandFunction(
            [*build, "-o", str(arguments.store), "--shard", f"{task}/{arguments.tasks}", "--jobs", str(arguments.cpus)],
            verbose=False,
        )(),
        tasks,
    )
    failed = []
    for task, job in zip(tasks, jobs, strict=True):
        try:
            print(job.result().strip().splitlines()[-1])
        except (submitit.core.utils.FailedJobError, submitit.core.utils.UncompletedJobError):
            failed.append(task)
            print(f"task {task} failed: {job.paths.stderr}", file=sys.stderr)
    if failed:
        sys.exit(f"{len(failed)} of {arguments.tasks} tasks failed; the same command does again what is not done")
    pattern = f"{arguments.store.stem}.*-of-{arguments.tasks}.h5"
    join = ["-m", "chgtools", "dataset", "join", "-o", str(arguments.store)]
    join += sorted(str(path) for path in arguments.store.parent.glob(pattern))
    if arguments.store.exists():
        print(f"{arguments.store} is there; to join again: chgtools {shlex.join(join[2:])} --force")
    else:
        subprocess.run([sys.executable, *join], check=True)


if __name__ == "__main__":
    main()
