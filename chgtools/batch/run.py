"""Start densities of many structures, in a way that can be killed and called again.

For each structure, in this order: the CHGCAR is written under a temporary name beside its target; the manifest gets
its line, with the SHA-256; the file is renamed. A job that is killed between any two of these loses nothing: called
again it finishes a rename that was left, and a structure that has no line is begun anew. With several processes each
writes under temporary names alone, and the one that was called does the rest.
"""

from __future__ import annotations

import hashlib
import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from chgtools.batch.files import Item, read_list
from chgtools.errors import ChgtoolsError, MismatchError, SettingsError, sentence_of
from chgtools.jobs.manifest import FAILED, Manifest
from chgtools.jobs.shard import Shard
from chgtools.jobs.workers import Ask, Killed, run
from chgtools.kernels.dense import computing_on
from chgtools.start.writing import StartOptions, write_under

DONE, PRESENT, FAILED_BEFORE = "done", "present", "failed before"


@dataclass(frozen=True)
class BatchOptions(StartOptions):
    """output : folder of the CHGCARs, in subfolders as the list has them; by default each lies beside its POSCAR
    manifest : of the whole batch; by default LIST.manifest.jsonl. Shards put their number into the name
    shard : which part of the list to do
    force : replace a CHGCAR that this batch did not write
    retry_failed : try again what the manifest says has failed
    jobs : structures that are computed at once, each in a process of its own; 1 for this one alone
    the others : what is asked of the density of every structure, see chgtools.start.writing.StartOptions
    """

    output: Path | None = None
    manifest: Path | None = None
    shard: Shard = field(default_factory=Shard)
    force: bool = False
    retry_failed: bool = False
    jobs: int = 1

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise SettingsError(f"found jobs = {self.jobs}; wanted 1 or more")


@dataclass(frozen=True)
class Outcome:
    """What became of one structure.

    status : "done", "failed", "present" (done by an earlier call) or "failed before" (and not tried again)
    record : its line of the manifest
    """

    item: Item
    status: str
    record: dict[str, Any]

    @property
    def error(self) -> str:
        """One sentence that names the structure, "" where there is none."""
        error = str(self.record.get("error", ""))
        return error if not error or str(self.item.structure) in error else f"{self.item.structure}: {error}"


class Batch:
    """A batch that is ready to run: the list is read, the weights are loaded, the manifest is known.

    items : the structures of this shard; manifest : what is done
    """

    def __init__(self, path: Path, options: BatchOptions | None = None) -> None:
        """path : the list. Raises ChgtoolsError, FormatError for a list, weights or a manifest that cannot be used, and
        MismatchError for a manifest made with other weights."""
        self.options = options or BatchOptions()
        from chgtools.models.choice import AUTO, NONE
        from chgtools.models.weights import read_facts

        shard = self.options.shard
        self.items = shard.part(read_list(path, self.options.output))
        base = self.options.manifest or path.with_name(f"{path.name}.manifest.jsonl")
        self.manifest = Manifest(base, shard, "structure")
        self._refuse_other_weights()
        if isinstance(self.options.model, (str, Path)) and str(self.options.model) not in (AUTO, NONE):
            read_facts(self.options.model)  # weights that are none stop the batch, not each structure of it
        with computing_on(self.options.device):
            pass  # and so does a GPU that is not there

    def _refuse_other_weights(self) -> None:
        """CHGCARs of two models in one batch would be mixed without a word."""
        wanted = self._wanted
        for item in self.items:
            earlier = self.manifest.known.get(item.name, {})
            if earlier.get("status") == DONE and earlier.get("model_asked_for", wanted) != wanted:
                raise MismatchError(
                    f"{self.manifest.path}: {item.name} was done with --model {earlier['model_asked_for']}, now "
                    f"{wanted} is asked for; give another --manifest and -o, or the same --model"
                )

    @property
    def _wanted(self) -> str:
        """Weights, and whether they may have a prior, as the options of the command."""
        from chgtools.models.choice import AUTO

        model = self.options.model
        name = str(model) if isinstance(model, (str, Path)) else model.name
        return name if self.options.prior == AUTO else f"{name} --prior {self.options.prior}"

    def run(self) -> Iterator[Outcome]:
        """Do every structure that is not done; yields one Outcome for each as it is known.

        A structure that fails is reported and stops nothing, and a process that is killed loses the structure that it
        works on. Raises ChgtoolsError when the manifest cannot be written or a process cannot be started.
        """
        settled: list[Outcome] = []
        jobs = self.options.jobs if self.options.jobs > 1 else 0
        work = partial(_facts_of, options=self.options)
        for item, facts in run(work, self._pending(settled), jobs, _nothing):
            yield from settled
            settled.clear()
            yield self._noted(item, facts)
        yield from settled

    def _pending(self, settled: list[Outcome]) -> Iterator[Item]:
        """The structures that are to be done; what became of those before them is added to ``settled``."""
        for item in self.items:
            known = self.manifest.known.get(item.name)
            if known and known["status"] == FAILED and not self.options.retry_failed:
                settled.append(Outcome(item, FAILED_BEFORE, known))
            elif known and known["status"] == DONE and _finished(item.output, _partial(item.output), known):
                settled.append(Outcome(item, PRESENT, known))
            else:
                yield item

    def _noted(self, item: Item, facts: dict[str, Any] | Killed) -> Outcome:
        """The line of a structure, and its name for the file that was written."""
        written = _partial(item.output)
        if isinstance(facts, Killed):
            _remove_leftovers(written)
            facts = {"error": f"{facts} (out of memory? try it again with --retry-failed and fewer --jobs)"}
        status = FAILED if "error" in facts else DONE
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        line = {"status": status, **facts, "model_asked_for": self._wanted, "finished": finished}
        record = self.manifest.add(item.name, line)
        if status == DONE:
            written.replace(item.output)
        return Outcome(item, status, record)


def _nothing(item: Item, asked: Any) -> None:
    """The processes of a batch ask for nothing."""


def _facts_of(item: Item, ask: Ask, options: BatchOptions) -> dict[str, Any]:
    """Predict a structure into its temporary file; what the manifest shall say of it, "error" where it failed."""
    started, written = time.perf_counter(), _partial(item.output)
    facts: dict[str, Any]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            _remove_leftovers(written)
            facts = _write(item, written, options)
            notes = [str(warning.message) for warning in caught]
            facts["assumptions"] = [*facts["assumptions"], *notes]
        except Exception as error:  # one bad structure stops nothing, whatever it brings to light
            written.unlink(missing_ok=True)
            facts = {"error": sentence_of(error, "a coarser grid needs less (ENCUT, PREC, NGXF)")}
    return {**facts, "seconds": round(time.perf_counter() - started, 3)}


def _write(item: Item, written: Path, options: BatchOptions) -> dict[str, Any]:
    if item.output.is_dir():
        raise ChgtoolsError(f"{item.output} is a folder; a CHGCAR is to be written there, move it away")
    if item.output.exists() and not options.force:
        raise ChgtoolsError(
            f"{item.output} exists and this batch did not write it; move it away, or give --force to replace it"
        )
    item.output.parent.mkdir(parents=True, exist_ok=True)
    start = write_under(item.structure, written, item.output, options)
    with written.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    facts = {"file": str(item.output), "sha256": digest, "bytes": written.stat().st_size}
    return {**facts, **start.facts(), "check": [finding.code for finding in start.findings]}


def _partial(output: Path) -> Path:
    """Where a CHGCAR is written before it has its name."""
    return output.with_name(f".{output.name}.batch")


def _remove_leftovers(partial: Path) -> None:
    """Remove what a killed job left of this structure: the file itself, and the writer's own temporary ones."""
    for path in [partial, *partial.parent.glob(f".*.{partial.name}")]:
        path.unlink(missing_ok=True)


def _finished(output: Path, partial: Path, record: dict[str, Any]) -> bool:
    """Whether the CHGCAR of a structure that is done is there; finishes a rename that a killed job left.

    A CHGCAR that VASP has written over since counts as well: it is not to be replaced.
    """
    if partial.is_file():
        with partial.open("rb") as file:
            complete = hashlib.file_digest(file, "sha256").hexdigest() == record.get("sha256")
        if complete:
            partial.replace(output)
    return output.is_file()
