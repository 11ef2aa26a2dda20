"""Progress on stderr: a bar in a terminal, plain lines anywhere else."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

__all__ = ["progress"]

_STEP = 0.1


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[float, str], None]]:
    """Yield a function that is told the share done, 0..1, and a line to show."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[line]}"),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(title, total=1.0, line="")
            yield lambda share, line: bar.update(task, completed=share, line=line)
        return
    shown = -_STEP

    def say(share: float, line: str) -> None:
        nonlocal shown
        if share >= shown + _STEP or share < shown:
            shown = share
            sys.stderr.write(f"{title}  {share:4.0%}  {line}\n")
            sys.stderr.flush()

    yield say
