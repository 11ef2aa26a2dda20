"""The entry of a node: who there is, the guard at HTTP, the door at MQTT, and their certificates."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Coroutine
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nervure.core.error import ModelError
from nervure.node.door import Door
from nervure.serve.control.app import control
from nervure.serve.control.basemap import FILE
from nervure.serve.control.route import Desk
from nervure.serve.guard import Guard
from nervure.stream.conf import Gate, Wrapped
from nervure.trust.authority import Authority
from nervure.trust.console import console_secret
from nervure.trust.listener import Files, client_context, listener_files, server_context
from nervure.trust.nkey import AccountKey
from nervure.trust.office import Office
from nervure.trust.oidc import Provider
from nervure.trust.register import Register
from nervure.trust.signature import SigningKey, check, seal, trusted
from nervure.trust.testimony import doubt

if TYPE_CHECKING:
    from nervure.core.command import Evidence
    from nervure.core.settings import Settings
    from nervure.serve.answer import ASGI
    from nervure.store.catalogue import Catalogue
    from nervure.stream.api import Address
    from nervure.stream.server import Server

__all__ = ["Entry"]


class Entry:
    """Knows who may come in, and how; in an open node anybody on this machine may.

    ``gate`` is for the server to ask at, ``tls`` for HTTP to speak; both are None where they are
    not wanted.
    """

    def __init__(self, settings: Settings, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._settings = settings
        self._folder = settings.folder.resolve() / "tls"
        self._key = AccountKey()
        is_open = settings.access.open
        register = Register(catalogue.database, console_secret(settings.folder))
        self.office = Office(register, self._folder)
        has_provider = settings.oidc.issuer is not None and not is_open
        self._provider = Provider(settings.oidc, self.office) if has_provider else None
        self.guard = Guard() if is_open else Guard(register, settings.access, self._provider)
        self._files = self._made_files() if settings.tls.on else None
        self.tls: ssl.SSLContext | None = server_context(self._files) if self._files else None
        self.gate = None if is_open or settings.nats.url is not None else self._made_gate()
        self.door = (
            Door(register, catalogue, self._key, settings.limits.per_device_s)
            if self.gate is not None
            else None
        )

    def control(self, **work: Any) -> ASGI:
        """Return the control API; ``work`` is what the rest of the node lends its `Desk`."""
        desk = Desk(
            office=self.office,
            catalogue=self._catalogue,
            access=self._settings.access,
            provider=self._provider,
            solutions=tuple(self._settings.project.solutions),
            basemap=self._settings.folder / FILE,
            **work,
        )
        return control(desk)

    def jobs(self, server: Server | None, address: Address) -> list[Coroutine[Any, Any, None]]:
        """Return what has to run as long as the node does; ``address`` is where the log is."""
        if self.door is None or server is None:
            return []
        return [self.door.run(server, address)]

    @cached_property
    def _signer(self) -> SigningKey:
        return SigningKey.load_or_create(self._settings.folder)

    def seal(self, data: bytes) -> str:
        """Sign a line of a loop's log with the node's own key."""
        return seal(data, self._signer)

    def derived(self, purpose: str) -> bytes:
        """Return a secret of the node's own for one purpose."""
        return self._signer.derived(purpose)

    def doubt(self, found: Evidence) -> str:
        """Say why what a what-if found is not to be believed, or nothing."""
        return doubt(found, trusted(self._settings.folder))

    def sealed(self, data: bytes, sealed: str) -> bool:
        """Tell whether the node, or a key that it trusts, signed these data."""
        try:
            check(data, sealed, trusted(self._settings.folder))
        except ModelError:
            return False
        return True

    def figures(self) -> dict[str, int]:
        """Return what ``nervure status`` shows of the door."""
        return self.door.figures() if self.door is not None else {}

    def _made_files(self) -> Files:
        authority = Authority.load_or_create(self._folder)
        return listener_files(self._settings.tls, authority, self._folder)

    def _made_gate(self) -> Gate:
        secret = secrets.token_urlsafe(32)
        if self._files is None:
            return Gate(issuer=self._key.public, secret=secret)
        wrapped = Wrapped(
            certificate=self._files.certificate,
            key=self._files.key,
            authority=self._files.authority,
            require=self._settings.tls.require_certificate,
        )
        context = client_context(self.office.authority, self._folder)
        return Gate(issuer=self._key.public, secret=secret, tls=wrapped, context=context)
