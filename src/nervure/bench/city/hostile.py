"""Hostile commands: what somebody with a stolen token tries, and what becomes of it."""

from __future__ import annotations

import time
from typing import Any

import httpx

from nervure.bench.city.outcome import Refusal

__all__ = ["Hostile"]

_PATIENCE_S = 10.0


class Hostile:
    """A stranger who may act asks for what must not be; everything is tried on the first signal and valve."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._head = url, {"authorization": f"Bearer {token}"}
        self._asked: list[tuple[str, int]] = []
        self.found: list[Refusal] = []
        self.sent = False

    def send(self, api: httpx.Client) -> None:
        """Try all of it."""
        self.sent = True
        loops = {one["name"]: one for one in api.get("/api/loops").raise_for_status().json()}
        signal = next((one for name, one in loops.items() if name.endswith("/phase")), None)
        valve = next((one for name, one in loops.items() if name.endswith("/valve")), None)
        room = next((one for one in loops.values() if "heat_setpoint" in one["fields"]), None)
        with httpx.Client(base_url=self._url, headers=self._head, timeout=10.0) as stranger:
            for loop, what, values, act in (
                (signal, "a signal between two phases", {"phase": 0.5}, {}),
                (signal, "a signal held for a day", {"phase": 0}, {"lease_s": 86_400}),
                (signal, "a signal, in the slot of the fire brigade", {"phase": 0}, {"slot": 3}),
                (signal, "a phase that there is not", {"phase": 9}, {}),
                (valve, "a valve half open", {"valve": 0.5}, {}),
                (
                    room,
                    "a room heated and cooled at once",
                    {"heat_setpoint": 28.0, "cool_setpoint": 18.0},
                    {},
                ),
            ):
                if loop is not None:
                    self._one(
                        stranger, loop["id"], what, (values, {"model": "stranger", "lease_s": 30} | act)
                    )
            for loop in loops.values():
                self._door(stranger, f"the interlocks of {loop['name']} taken away", "PATCH", loop["id"])
                break

    def _one(
        self, api: httpx.Client, loop: int, what: str, asked: tuple[dict[str, Any], dict[str, Any]]
    ) -> None:  # fmt: skip
        body = {"taskingParameters": asked[0], "properties": {"act": asked[1]}}
        answer = api.post(f"/v1.1/TaskingCapabilities({loop})/Tasks", json=body)
        if answer.is_error:
            self.found.append(Refusal(what=what, state="refused at the door", why=_words(answer)))
            return
        where = answer.headers["location"]
        self._asked.append((what, int(where[where.rindex("(") + 1 : where.rindex(")")])))

    def _door(self, api: httpx.Client, what: str, method: str, loop: int) -> None:
        answer = api.request(method, f"/v1.1/TaskingCapabilities({loop})", json={"properties": {}})
        state = "refused at the door" if answer.is_error else "done"
        self.found.append(Refusal(what=what, state=state, why=_words(answer) if answer.is_error else ""))

    def look(self, api: httpx.Client) -> None:
        """See what became of it."""
        end = time.monotonic() + _PATIENCE_S
        for what, task in self._asked:
            while True:
                one = api.get(f"/v1.1/Tasks({task})").raise_for_status().json()
                if one["status"] not in ("requested", "checked") or time.monotonic() > end:
                    break
                time.sleep(0.1)
            why = next((line["detail"] for line in reversed(one["runLog"]) if line.get("detail")), "")
            self.found.append(Refusal(what=what, state=one["status"], why=why))
        self._asked.clear()


def _words(answer: httpx.Response) -> str:
    """Return what the node says, without its frame."""
    try:
        told = answer.json()
    except ValueError:
        return answer.text[:200]
    return str(told.get("message") or told.get("detail") or told)[:200]
