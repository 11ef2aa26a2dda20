"""The web console: the files that `hatch_build.py` built into the package, and the page for its addresses.

    /console/assets/…   named by their content, so a browser keeps them for good
    /console/…          every other address is one of the console's own: the page, asked for anew each time

Files are sent packed as they lie there (``.br``, ``.gz``), to who takes that.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from pathlib import Path

from nervure.core.error import NotFoundError
from nervure.serve.answer import Answer, NotAllowed, Scope, failure

__all__ = ["PLACE", "Console"]

PLACE = "/console"

STATIC = Path(__file__).parent / "static"

_PAGE = "index.html"
_RULE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_HEADERS = (
    ("content-security-policy", _RULE),
    ("cross-origin-opener-policy", "same-origin"),
    ("vary", "accept-encoding"),
)
_FOR_GOOD = ("cache-control", "public, max-age=31536000, immutable")
_ANEW = ("cache-control", "no-cache")
_KINDS = {".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8"}
_PACKED = {".br": "br", ".gz": "gzip"}


class Console:
    """Answers what is below `PLACE`; without a console in the package everything there is 404."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._folder = folder.resolve()

    @property
    def there(self) -> bool:
        """Whether the package holds a console."""
        return self._file(_PAGE) is not None

    def _file(self, name: str) -> Path | None:
        """Return a file of the console; None for what is none, and for every way out of its folder."""
        try:
            path = (self._folder / name).resolve()
            inside = path.is_relative_to(self._folder) and path.suffix not in {*_PACKED, ".txt"}
            return path if inside and path.is_file() else None
        except (OSError, ValueError):  # a name that no file can have
            return None

    def answer(self, scope: Scope) -> Answer:
        """Answer one request; an address with a dot that is no file is 404, any other is the page."""
        if scope["method"] not in {"GET", "HEAD"}:
            return failure(NotAllowed(scope["method"], ("GET", "HEAD")))
        if not self.there:
            return failure(_absent())
        name = scope["path"].removeprefix(PLACE).strip("/") or _PAGE
        path = self._file(name)
        if path is None:
            if name.startswith("assets/") or "." in name.rpartition("/")[2]:
                return failure(NotFoundError(f"there is no file {name} of the console"))
            name, path = _PAGE, self._folder / _PAGE
        return _sent(name, path, dict(scope["headers"]))


def _sent(name: str, path: Path, headers: Mapping[bytes, bytes]) -> Answer:
    """Answer with a file, packed if the client takes that; a page that it has already is not sent again."""
    told = [*_HEADERS]
    taken = {word.partition(b";")[0].strip() for word in headers.get(b"accept-encoding", b"").split(b",")}
    for suffix, encoding in _PACKED.items():
        packed = path.with_name(path.name + suffix)
        if encoding.encode() in taken and packed.is_file():
            path = packed
            told.append(("content-encoding", encoding))
            break
    body = path.read_bytes()
    kind = _KINDS.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    if name.startswith("assets/"):
        return Answer(body=body, kind=kind, headers=(*told, _FOR_GOOD))
    mark = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    told += [_ANEW, ("etag", mark)]
    if mark.encode() in headers.get(b"if-none-match", b""):
        return Answer(status=304, headers=tuple(told))
    return Answer(
        body=body, kind=f"{kind}; charset=utf-8" if kind == "text/html" else kind, headers=tuple(told)
    )


def _absent() -> NotFoundError:
    return NotFoundError(
        "this installation has no web console",
        hint="install it without NERVURE_CONSOLE=off; the API is at /v1.1",
    )
