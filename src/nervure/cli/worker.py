"""``nervure worker``: score partitions of a running platform, here or placed by Ray."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from nervure.cli.option import Change, File, Json, read
from nervure.cli.output import say, write_line
from nervure.core.error import UsageError

__all__ = ["worker"]


def worker(
    *,
    ray: Annotated[
        int | None,
        Parameter(help="Have Ray place so many workers, on the cluster of RAY_ADDRESS or on this machine."),
    ] = None,
    settings: File = None,
    change: Change = (),
    json: Json = False,
) -> int:
    """Score a fair part of the partitions of a platform until it is stopped with Ctrl+C or SIGTERM.

    It needs the settings of the platform, with scale.partitions above 0, and reaches its catalogue, its
    log server and its data folder. What it holds goes to other workers when it stops or dies.
    """
    loaded, _ = read(settings, change)
    if not loaded.scale.partitions:
        raise UsageError(
            "there are no partitions to work on",
            where="$.scale.partitions",
            hint="set it to some times the number of workers you want, and start the platform again",
        )
    if ray is not None:
        from nervure.cli.ray_worker import place

        place(loaded, ray, lambda found: write_line(found) if json else say(f"Ray has placed {found}"))
        return 0
    from nervure.cli.lean import lean

    lean()
    from nervure.node.worker import Hands, work

    name = Hands.named()
    write_line({"worker": name}) if json else say(f"{name} works on partitions; stop it with Ctrl+C")
    work(loaded, name)
    return 0
