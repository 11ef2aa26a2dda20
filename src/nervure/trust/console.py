"""The console: commands on the machine itself, let in by a secret that lies in the data folder."""

from __future__ import annotations

from pathlib import Path

from nervure.stream.conf import read_secret
from nervure.trust.principal import Principal

__all__ = ["CONSOLE", "PRINCIPAL", "console_secret"]

CONSOLE = "console"

PRINCIPAL = Principal(name=CONSOLE, kind="token", role="", rights=frozenset({"read", "observe"}))
"""Who asks from the console: may look, and send readings. Who may do what is changed by the office."""


def console_secret(folder: Path, *, make: bool = True) -> str:
    """Return the secret, made on first use; its file is readable by its owner only.

    Who only asks does not ``make`` one: it is empty where no node has ever been.
    """
    return read_secret(folder.resolve() / "console", make=make)
