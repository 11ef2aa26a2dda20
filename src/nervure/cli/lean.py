"""Keeping pandas out of a process that has no use for it.

Where pandas is installed, pyarrow takes it in with the first array, to know its types again: 40 MB and a
third of a second at each start. It looks once, on the way in and on the way out; who imports pandas
afterwards gets it as ever.
"""

from __future__ import annotations

import sys

__all__ = ["lean"]


class _Away:
    """A finder that knows of no pandas."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is kept away", name=name)


def lean() -> None:
    """Let pyarrow look for pandas now, and find none."""
    import numpy as np
    import pyarrow as pa

    away = _Away()
    sys.meta_path.insert(0, away)
    try:
        pa.array(np.arange(1)).to_numpy()
    finally:
        sys.meta_path.remove(away)
