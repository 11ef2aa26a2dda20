"""A small client for SensorThings that asserts what every answer must hold."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import httpx

__all__ = ["Client", "Id", "Json", "at", "link"]

Json = dict[str, Any]
Id = int | str
SAFE = "/:,()$@=;'*!"
_LAST_KEY = re.compile(r"\((?:(\d+)|'([^']*)')\)$")


def at(entities: str, key: Id) -> str:
    """Return the path of an entity: ``Things(1)``, ``Things('abc')``."""
    return f"{entities}({key})" if isinstance(key, int) else f"{entities}('{quote(key, safe='')}')"


def link(key: Id) -> Json:
    """Return a link to an entity that is already there."""
    return {"@iot.id": key}


class Client:
    """Asks a service at its root, ``http://host:port/v1.1``."""

    def __init__(self, root: str, mqtt_port: int) -> None:
        self.root = root
        self.mqtt_port = mqtt_port
        self._http = httpx.Client(timeout=30.0)

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def url(self, path: str, options: Json | None = None) -> str:
        """Return the address of a path, with query options (``top=1`` becomes ``$top=1``)."""
        start = path if path.startswith("http") else f"{self.root}/{path}".rstrip("/")
        if not options:
            return start
        query = "&".join(f"${name}={quote(_text(value), safe=SAFE)}" for name, value in options.items())
        return f"{start}{'&' if '?' in start else '?'}{query}"

    def send(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        """Send a request as it is; ``body`` goes as JSON, ``content`` as it stands."""
        if body is not None:
            headers = {"content-type": "application/json"} | more.pop("headers", {})
            more |= {"content": json.dumps(body), "headers": headers}
        return self._http.request(method, self.url(path), **more)

    def ask(self, path: str, **options: Any) -> httpx.Response:
        """GET a path with query options, whatever the status."""
        return self._http.get(self.url(path, options))

    def status(self, path: str, **options: Any) -> int:
        """Return the status of a GET; one that is an error says so in JSON."""
        answer = self.ask(path, **options)
        if answer.status_code >= 400:
            assert answer.json()["message"], answer.text
        return answer.status_code

    def get(self, path: str, **options: Any) -> Any:
        """GET a path and return its JSON."""
        answer = self.ask(path, **options)
        assert answer.status_code == 200, f"{answer.request.url}: {answer.status_code} {answer.text}"
        assert answer.headers["content-type"].startswith("application/json")
        return answer.json()

    def values(self, path: str, **options: Any) -> list[Json]:
        """GET a set and return its entities."""
        found: list[Json] = self.get(path, **options)["value"]
        return found

    def walk(self, path: str, **options: Any) -> list[Json]:
        """GET a set and follow every next link to the end."""
        page = self.get(path, **options)
        found: list[Json] = page["value"]
        pages = 1
        while following := page.get("@iot.nextLink"):
            page = self.get(following)
            found = found + page["value"]
            pages += 1
            assert pages < 200, "the pages do not end"
        return found

    def names(self, path: str, **options: Any) -> list[str]:
        """GET a set and return the names in it."""
        return [one["name"] for one in self.values(path, **options)]

    def results(self, path: str, **options: Any) -> list[Any]:
        """GET a set of Observations and return their results."""
        return [one["result"] for one in self.values(path, **options)]

    def ids(self, path: str, **options: Any) -> list[Id]:
        """GET a set and return the ids in it."""
        return [one["@iot.id"] for one in self.values(path, **options)]

    def create(self, path: str, body: Any) -> Any:
        """POST an entity, check the answer, and return its id."""
        answer = self.send("POST", path, body)
        assert answer.status_code == 201, f"POST {path}: {answer.status_code} {answer.text}"
        place = answer.headers["location"]
        found = _LAST_KEY.search(place)
        assert found, place
        assert place.startswith(self.root + "/"), place
        return int(found[1]) if found[1] else found[2]

    def refuse(self, method: str, path: str, body: Any, *expected: int) -> None:
        """Send what must be refused, with one of the expected statuses (400 if none is named)."""
        answer = self.send(method, path, body)
        assert answer.status_code in (expected or (400,)), (
            f"{method} {path}: {answer.status_code} {answer.text}"
        )
        assert answer.json()["message"]

    def change(self, method: str, path: str, body: Any, **more: Any) -> None:
        """PATCH or PUT."""
        answer = self.send(method, path, body, **more)
        assert answer.status_code in {200, 204}, f"{method} {path}: {answer.status_code} {answer.text}"

    def delete(self, path: str) -> None:
        """DELETE an entity and see that it is gone."""
        answer = self.send("DELETE", path)
        assert answer.status_code in {200, 204}, f"DELETE {path}: {answer.status_code} {answer.text}"
        assert self.status(path) == 404

    def there(self, path: str) -> bool:
        """Return whether an entity is there."""
        status = self.status(path)
        assert status in {200, 404}
        return status == 200


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
