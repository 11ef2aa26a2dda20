"""``nervure status``: what the running node counts."""

from __future__ import annotations

from typing import Any

from nervure.cli.option import Change, File, Json, read
from nervure.cli.output import say, tree, write_json
from nervure.cli.reach import http_address, http_client
from nervure.core.settings import Settings

__all__ = ["ask", "status"]

PATIENCE_S = 5.0


def status(*, settings: File = None, change: Change = (), json: Json = False) -> int:
    """Show how the running platform is doing: readings, positions, quarantine, alerts, latency.

    Exit code 0 when all is well, 1 when something is wrong or nothing runs.
    """
    loaded, _ = read(settings, change)
    found = ask(loaded, "/status")
    problems = list(found.get("problems", ()))
    if json:
        write_json(found)
    else:
        tree(found)
        say("in good order" if not problems else "\n".join(f"wrong: {one}" for one in problems))
    return 1 if problems else 0


def ask(settings: Settings, path: str, timeout_s: float = PATIENCE_S) -> Any:
    """Ask the running node over HTTP and return the JSON it answers.

    Raises ``NotFoundError`` when none runs, ``NervureError`` with its words when it refuses.
    """
    import httpx

    from nervure.cli.process import find
    from nervure.core.error import NervureError, NotFoundError

    running = find(settings.folder)
    base = running.http if running else http_address(settings)
    try:
        with http_client(settings, timeout=timeout_s) as client:
            answer = client.get(base + path)
        answer.raise_for_status()
        return answer.json()
    except httpx.ConnectError as cause:
        raise NotFoundError(
            f"no node answers at {base}" + (f", though process {running.pid} runs" if running else ""),
            hint="wait until it has started" if running else "start one with: nervure up",
        ) from cause
    except (httpx.HTTPError, ValueError) as cause:
        raise NervureError(f"the node at {base} does not answer as it should: {cause}") from cause
