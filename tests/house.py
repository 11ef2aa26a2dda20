"""What tests of access share: a catalogue with an office, people in it, and the application over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import httpx

from nervure.core.access import Access
from nervure.core.error import NervureError
from nervure.serve.answer import ASGI, Receive, Scope, Send, failure, json, send
from nervure.serve.app import PRINCIPAL
from nervure.serve.control.app import control
from nervure.serve.control.room import Room
from nervure.serve.control.route import Desk
from nervure.serve.control.vital import Vital
from nervure.serve.guard import CERTIFICATE, Guard, Signed
from nervure.serve.site import Sites
from nervure.store.catalogue import Catalogue
from nervure.store.observations import Observations
from nervure.trust.office import MACHINE, Office
from nervure.trust.oidc import Provider
from nervure.trust.register import Register
from nervure.trust.right import Role

PASSWORD = "correct horse battery staple"


class House:
    """An installation without its streams: who is in it, and how they ask."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalogue = Catalogue.open(folder / "catalogue.db")
        self.register = Register(self.catalogue.database)
        self.office = Office(self.register, folder / "tls")
        self.access = Access()
        self.observations = Observations.open(folder / "observations")
        self.sites = Sites(self.catalogue)
        self.solutions: tuple[str, ...] = ("water", "flood")
        self.vital = Vital()
        self.check: Any = None
        self.room = Room()

    def close(self) -> None:
        self.observations.close()
        self.catalogue.close()

    def user(self, role: Role, **more: Any) -> str:
        """Add a user named as their role, with the password of all tests, and return a token of theirs."""
        name = more.pop("name", role)
        self.office.add_user(MACHINE, name, role, password=PASSWORD, **more)
        return self.office.add_token(MACHINE, "test", None, 1.0, owner=name)[1]

    def app(
        self,
        *,
        guard: Guard | None = None,
        provider: Provider | None = None,
        signed: Signed | None = None,
        shown: str | None = None,
    ) -> ASGI:
        """Return the control API behind its guard; other paths answer who was let in."""
        before = guard or Guard(self.register, self.access, signed)
        desk = Desk(
            office=self.office,
            catalogue=self.catalogue,
            access=self.access,
            provider=provider,
            site=self.sites,
            observed=self.observations,
            solutions=self.solutions,
            vital=lambda: self.vital,
            check=self.check,
            room=self.room,
        )
        api = control(desk)

        async def app(scope: Scope, receive: Receive, out: Send) -> None:
            if shown is not None:
                scope[CERTIFICATE] = shown
            try:
                principal = scope[PRINCIPAL] = await before.admit(scope)
            except NervureError as cause:
                await send(failure(cause), scope, out)
                return
            if scope["path"].startswith("/api"):
                await api(scope, receive, out)
            else:
                await send(json({"name": principal.name}), scope, out)

        return app


def caller(app: ASGI, token: str | None = None, **more: Any) -> httpx.AsyncClient:
    """Return an HTTP client of an application, with a bearer token if one is given."""
    scheme = more.pop("scheme", "http")
    address = more.pop("address", "10.0.0.1")
    transport = httpx.ASGITransport(app=cast("Any", app), client=(address, 1234))
    headers = {"authorization": f"Bearer {token}"} if token else {}
    said = headers | more.pop("headers", {})
    return httpx.AsyncClient(
        transport=transport,
        base_url=f"{scheme}://node.test",
        headers=said,
        **more,
    )
