"""Ports that are chosen now and listened on in a moment: until then they are nobody else's.

    with contextlib.suppress(OSError):
        mark = take("127.0.0.1", 4222)

Between the look whether a port is free and the server that listens on it lies all that a node does before:
two that begin at the same moment would both find it free.
"""

from __future__ import annotations

import socket
import sys

__all__ = ["take"]


def take(host: str, port: int, *, again: bool = False) -> socket.socket | None:
    """Take a TCP port for this process, until what is returned is closed; ``OSError`` if it is taken.

    Nothing listens on it yet. With ``again`` one counts as free whose last server has just ended.
    Linux alone has names of sockets that leave no file behind and end with their process; elsewhere
    there is nothing to return, and two who ask at the same moment may both get it.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        if again:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        if sys.platform != "linux":
            return None
        mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            mark.bind(f"\0nervure-port-{port}")
        except OSError:
            mark.close()
            raise
        return mark
