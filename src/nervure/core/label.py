"""Labels: spans of a Datastream of which a person says what they were, so that nothing is learnt from them.

They stand in the Datastream's properties, where clients of SensorThings see them, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["LABELS", "Label", "Word", "free", "labels_of"]

LABELS = "labels"
"""The property in which they stand."""

Word = Literal["fault", "event", "planned"]
"""The sensor was wrong, something out of the ordinary happened, or people were at work."""


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What ``since <= time < until`` (ns since 1970) was, who said so and when."""

    since_ns: int
    until_ns: int
    label: Word
    note: str = ""
    by: str = ""
    at_ns: int = 0

    @property
    def id(self) -> str:
        """What names it among the labels of its Datastream.

        >>> Label(since_ns=0, until_ns=10, label="fault").id
        '936634fdcd49'
        """
        told = f"{self.since_ns}:{self.until_ns}:{self.label}:{self.at_ns}".encode()
        return hashlib.blake2b(told, digest_size=6).hexdigest()


def labels_of(properties: Mapping[str, Any]) -> list[Label]:
    """Return the labels in properties, the oldest span first; what is none is passed over.

    >>> labels_of({"labels": [{"since_ns": 5, "until_ns": 9, "label": "event"}, "scribble"]})[0].label
    'event'
    """
    given = properties.get(LABELS)
    found = []
    for one in given if isinstance(given, list) else ():
        try:
            found.append(msgspec.convert(one, Label))
        except msgspec.ValidationError:  # anybody may write properties
            continue
    return sorted(found, key=lambda one: (one.since_ns, one.until_ns))


def free(time_ns: NDArray[np.int64], labels: Iterable[Label], lasts_ns: int = 1) -> NDArray[np.bool_]:
    """Return which instants ``[row]``, or slots that begin then and last so long, no label touches.

    >>> free(np.array([1, 5, 9]), [Label(since_ns=5, until_ns=9, label="fault")]).tolist()
    [True, False, True]
    >>> free(np.array([0, 4, 8]), [Label(since_ns=5, until_ns=8, label="fault")], 4).tolist()
    [True, False, True]
    """
    found = np.ones(len(time_ns), np.bool_)
    for one in labels:
        found &= (time_ns + lasts_ns <= one.since_ns) | (time_ns >= one.until_ns)
    return found
