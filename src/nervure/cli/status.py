"""``nervure status``: what the running node counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nervure.cli.option import Change, File, Json, read
from nervure.cli.output import say, tree, write_json
from nervure.cli.reach import http_address, http_client
from nervure.core.settings import Settings

if TYPE_CHECKING:
    import httpx

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


def ask(
    settings: Settings, path: str, timeout_s: float = PATIENCE_S, *, method: str = "GET", body: Any = None,
    shown: tuple[str, str] | str | None = None,
) -> Any:  # fmt: skip
    """Ask the running node over HTTP, or tell it a ``body``, and return the JSON it answers.

    ``shown`` is a name and its password, or a token; else it is the console that asks. Raises
    ``NotFoundError`` when none runs, ``NervureError`` with its words when it refuses.
    """
    import httpx

    from nervure.cli.process import find
    from nervure.core.error import NervureError, NotFoundError

    running = find(settings.folder)
    base = running.http if running else http_address(settings)
    try:
        with http_client(settings, timeout=timeout_s) as client:
            if isinstance(shown, str):
                client.headers["authorization"] = f"Bearer {shown}"
            auth = shown if isinstance(shown, tuple) else None
            answer = client.request(method, base + path, json=body, auth=auth)
        _refused(answer)
        answer.raise_for_status()
        return answer.json()
    except httpx.ConnectError as cause:
        raise NotFoundError(
            f"no node answers at {base}" + (f", though process {running.pid} runs" if running else ""),
            hint="wait until it has started" if running else "start one with: nervure up",
        ) from cause
    except (httpx.HTTPError, ValueError) as cause:
        raise NervureError(f"the node at {base} does not answer as it should: {cause}") from cause


def _refused(answer: httpx.Response) -> None:
    """Raise what the node says in its own words, where it says anything."""
    from nervure.core.error import NervureError

    if answer.is_client_error and "json" in answer.headers.get("content-type", ""):
        said = answer.json()
        if isinstance(said, dict) and said.get("message"):
            raise NervureError(str(said["message"]), hint=said.get("hint"))
