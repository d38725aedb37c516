"""Start densities of many structures."""

from chgtools.batch.files import Item, Manifest, Shard, read_list
from chgtools.batch.run import DONE, FAILED, FAILED_BEFORE, PRESENT, Batch, BatchOptions, Outcome

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
