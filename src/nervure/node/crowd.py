"""Who is inside: the MQTT connections of a node, and whose they are."""

from __future__ import annotations

import msgspec

from nervure.trust.admission import Rights, Visitor
from nervure.trust.principal import Principal

__all__ = ["Crowd", "Inside"]


class Inside(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who was let in: who they are, and what they may publish and hear; ``thing`` is a device's."""

    visitor: Visitor
    principal: Principal
    rights: Rights
    thing: int = 0

    @property
    def who(self) -> tuple[str, int]:
        """What tells them from everybody else."""
        return self.principal.kind, self.principal.id


class Crowd:
    """Everybody inside: by connection, by who they are, and by the client id they came with."""

    def __init__(self) -> None:
        self.by_connection: dict[int, Inside] = {}
        self._by_who: dict[tuple[str, int], set[int]] = {}
        self._by_client: dict[str, int] = {}

    def add(self, entry: Inside) -> None:
        """Note that somebody was let in."""
        connection = entry.visitor.connection
        self.by_connection[connection] = entry
        self._by_who.setdefault(entry.who, set()).add(connection)
        if entry.visitor.client:
            self._by_client[entry.visitor.client] = connection

    def pop(self, connection: int) -> Inside | None:
        """Forget a connection, and return who it was."""
        entry = self.by_connection.pop(connection, None)
        if entry is not None:
            self._by_who[entry.who].discard(connection)
            if not self._by_who[entry.who]:
                del self._by_who[entry.who]
            if self._by_client.get(entry.visitor.client) == connection:
                del self._by_client[entry.visitor.client]
        return entry

    def clear(self) -> None:
        """Forget everybody: the server is another one."""
        for connection in list(self.by_connection):
            self.pop(connection)

    def client(self, client: str) -> Inside | None:
        """Return who is here under a client id."""
        connection = self._by_client.get(client)
        return None if connection is None else self.by_connection.get(connection)

    def connections(self, who: tuple[str, int]) -> list[int]:
        """Return the connections that somebody has now."""
        return list(self._by_who.get(who, ()))

    def addresses(self, who: tuple[str, int]) -> list[str]:
        """Return the addresses from which somebody is here now."""
        here = self._by_who.get(who, ())
        return sorted({self.by_connection[connection].visitor.address for connection in here})
