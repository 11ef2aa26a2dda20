"""An HTTP server inside a running loop: bound before anything else starts, stopped by cancelling.

Left alone, uvicorn ends the process when a port is taken and puts its own signal handlers over
ours; here a taken port is an error a person can act on, and signals stay with the node.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from functools import partial
from hashlib import sha256

import uvicorn

from nervure.core.error import EnvironmentMissing, SettingError
from nervure.core.settings import is_loopback
from nervure.serve.answer import ASGI, Receive, Scope, Send
from nervure.serve.direct import Connection, Shortcut
from nervure.serve.guard import CERTIFICATE

__all__ = ["bind", "listen"]

GRACE_S = 2


class _Server(uvicorn.Server):
    """A server that leaves signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signal."""
        yield


def bind(host: str, port: int, *, guarded: bool = False) -> socket.socket:
    """Bind a listening socket; port 0 picks a free one.

    Raises ``SettingError`` for an address other machines could reach, unless ``guarded`` says that
    whoever comes signs in and speaks TLS; ``EnvironmentMissing`` when the port is taken.
    """
    if not guarded and not is_loopback(host):
        raise SettingError(
            f"http may only listen on this machine, not on {host!r}",
            where="$.http.host",
            hint="use 127.0.0.1, or leave out --open and set tls.on = true",
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # with the protocol named asyncio sets TCP_NODELAY: else a body waits 40 ms until its head is acknowledged
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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


class _Known(Connection):
    """HTTP over TLS whose requests know the certificate that the client showed, if it did."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the certificate's fingerprint into the scope of every request."""
        super().connection_made(transport)
        inner = transport.get_extra_info("ssl_object")
        shown = inner.getpeercert(binary_form=True) if inner is not None else None
        if shown is None:
            return
        app, found = self.app, sha256(shown).hexdigest()
        self.own[CERTIFICATE] = found

        async def known(scope: Scope, receive: Receive, send: Send) -> None:
            scope[CERTIFICATE] = found
            await app(scope, receive, send)

        self.app = known


async def listen(
    app: ASGI, listener: socket.socket, tls: ssl.SSLContext | None = None, shortcut: Shortcut | None = None
) -> None:
    """Serve until cancelled; requests under way get ``GRACE_S`` seconds to finish.

    ``shortcut`` takes requests for which the application need not be asked.
    """
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # whoever is behind loopback could name any address
        timeout_graceful_shutdown=GRACE_S,
    )
    config.load()
    # Whatever makes connections will do, but uvicorn's annotations ask for a class.
    config.http_protocol_class = partial(Connection if tls is None else _Known, shortcut)  # type: ignore[assignment]
    if tls is not None:
        config.ssl = tls
    server = _Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving
        listener.close()
