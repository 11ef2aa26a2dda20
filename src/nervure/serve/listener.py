"""An HTTP server inside a running loop: bound before anything else starts, stopped by cancelling.

Left alone, uvicorn ends the process when a port is taken and puts its own signal handlers over
ours; here a taken port is an error a person can act on, and signals stay with the node.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn

from nervure.core.error import EnvironmentMissing, SettingError
from nervure.core.settings import is_loopback
from nervure.serve.answer import ASGI

__all__ = ["bind", "listen"]

GRACE_S = 2


class _Server(uvicorn.Server):
    """A server that leaves signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signal."""
        yield


def bind(host: str, port: int) -> socket.socket:
    """Bind a listening socket; port 0 picks a free one.

    Raises ``SettingError`` for an address other machines could reach, ``EnvironmentMissing`` when
    the port is taken.
    """
    if not is_loopback(host):
        raise SettingError(
            f"http may only listen on this machine, not on {host!r}",
            where="$.http.host",
            hint="use 127.0.0.1",
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as cause:
        listener.close()
        raise EnvironmentMissing(
            f"cannot listen on {host}:{port}: {cause.strerror}",
            where="$.http.port",
            hint="stop what uses it, or set NERVURE_HTTP_PORT",
        ) from cause
    listener.setblocking(False)
    return listener


async def listen(app: ASGI, listener: socket.socket) -> None:
    """Serve until cancelled; requests under way get ``GRACE_S`` seconds to finish."""
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving
        listener.close()
