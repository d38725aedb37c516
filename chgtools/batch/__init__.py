"""Start densities of many structures."""

from chgtools.batch.files import Item, read_list
from chgtools.batch.run import DONE, FAILED_BEFORE, PRESENT, Batch, BatchOptions, Outcome
from chgtools.jobs.manifest import FAILED, Manifest
from chgtools.jobs.shard import Shard

__all__ = [
    "DONE",
    "FAILED",
    "FAILED_BEFORE",
    "PRESENT",
    "Batch",
    "BatchOptions",
    "Item",
    "Manifest",
    "Outcome",
    "Shard",
    "read_list",
]
