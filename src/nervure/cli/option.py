"""Options that several commands share, and how they become settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from nervure.core.error import SettingError
from nervure.core.settings import Settings, load

__all__ = ["Budget", "Change", "Dates", "Decimal", "File", "Json", "Named", "Which", "read"]

Json = Annotated[bool, Parameter(name="--json", help="Write JSON for machines.")]
File = Annotated[
    Path | None, Parameter(name="--settings", help="The settings file; nervure.toml here if there is one.")
]
Change = Annotated[
    tuple[str, ...],
    Parameter(name="--set", help="Change one setting: --set nats.port=4333. May be repeated."),
]
Named = Annotated[str, Parameter(help="The solution; a file of your own ends in .py.")]
Which = Annotated[str | None, Parameter(name="--problem", help="Which forecast; the first if left out.")]
Dates = Annotated[
    Literal["dmy", "mdy"] | None, Parameter(help="With --csv: how to read dates such as 01/02/2024.")
]
Decimal = Annotated[
    Literal[".", ","] | None, Parameter(help="With --csv: what parts whole from fraction in 1,234.")
]
Budget = Annotated[
    float, Parameter(name="--budget", help="Seconds that training may take.", show_default=True)
]


def read(file: Path | None, changes: tuple[str, ...] = ()) -> tuple[Settings, dict[str, str]]:
    """Return the settings and where each one that is not a default came from.

    >>> read(None, ("http.port=9000",))[0].http.port
    9000
    """
    override: dict[str, str] = {}
    for change in changes:
        name, sign, value = change.partition("=")
        if not sign or not name:
            raise SettingError(f"--set cannot read {change!r}", hint="write --set nats.port=4333")
        override[name] = value
    return load(file, override=override)
