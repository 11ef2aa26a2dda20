"""Memory that is free again goes back to the system, so that one stage does not add to the next.

The allocator of the C library keeps what was freed between blocks that are still in use; after a
data set was read, or many small fits were made, that is more than what is kept. Arrow's own keeps for the
next time what a merge of files took, which is as much as all the rest of a node.
"""

from __future__ import annotations

import ctypes

import pyarrow as pa

__all__ = ["give_back", "put_down"]


def put_down() -> None:
    """Hand back what Arrow keeps of what this thread used, which takes milliseconds and holds up nobody."""
    pa.default_memory_pool().release_unused()


def give_back() -> None:
    """Hand free memory back to the system, where the C library can (glibc)."""
    put_down()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
