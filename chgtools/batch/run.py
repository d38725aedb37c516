"""Start densities of many structures, in a way that can be killed and called again.

For each structure, in this order: the CHGCAR is written under a temporary name beside its target; the manifest gets
its line, with the SHA-256; the file is renamed. A job that is killed between any two of these loses nothing: called
again it finishes a rename that was left, and a structure that has no line is begun anew.
"""

from __future__ import annotations

import hashlib
import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chgtools.batch.files import Item, read_list
from chgtools.errors import ChgtoolsError, MismatchError, sentence_of
from chgtools.jobs.manifest import FAILED, Manifest
from chgtools.jobs.shard import Shard
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
    the others : what is asked of the density of every structure, see chgtools.start.writing.StartOptions
    """

    output: Path | None = None
    manifest: Path | None = None
    shard: Shard = field(default_factory=Shard)
    force: bool = False
    retry_failed: bool = False


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

        A structure that fails is reported and stops nothing. Raises ChgtoolsError when the manifest cannot be written.
        """
        for item in self.items:
            known = self.manifest.known.get(item.name)
            partial = _partial(item.output)
            if known and known["status"] == FAILED and not self.options.retry_failed:
                yield Outcome(item, FAILED_BEFORE, known)
            elif known and known["status"] == DONE and _finished(item.output, partial, known):
                yield Outcome(item, PRESENT, known)
            else:
                yield self._one(item, partial)

    def _one(self, item: Item, partial: Path) -> Outcome:
        started = time.perf_counter()
        facts: dict[str, Any]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                _remove_leftovers(partial)
                facts = self._write(item, partial)
                notes = [str(warning.message) for warning in caught]
                facts["assumptions"] = [*facts["assumptions"], *notes]
            except Exception as error:  # one bad structure stops nothing, whatever it brings to light
                partial.unlink(missing_ok=True)
                facts = {"error": sentence_of(error, "a coarser grid needs less (ENCUT, PREC, NGXF)")}
        record = self.manifest.add(
            item.name,
            {
                "status": FAILED if "error" in facts else DONE,
                **facts,
                "model_asked_for": self._wanted,
                "seconds": round(time.perf_counter() - started, 3),
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        )
        if "error" not in facts:
            partial.replace(item.output)
        return Outcome(item, record["status"], record)

    def _write(self, item: Item, partial: Path) -> dict[str, Any]:
        """Predict a structure into ``partial``; what the manifest shall say of it."""
        if item.output.is_dir():
            raise ChgtoolsError(f"{item.output} is a folder; a CHGCAR is to be written there, move it away")
        if item.output.exists() and not self.options.force:
            raise ChgtoolsError(
                f"{item.output} exists and this batch did not write it; move it away, or give --force to replace it"
            )
        item.output.parent.mkdir(parents=True, exist_ok=True)
        start = write_under(item.structure, partial, item.output, self.options)
        with partial.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        facts = {"file": str(item.output), "sha256": digest, "bytes": partial.stat().st_size}
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
