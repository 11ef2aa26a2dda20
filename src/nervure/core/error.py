"""One hierarchy of errors, each of which says what, where and what to do.

NervureError
├── UsageError            the command or the settings are wrong        (exit 2)
│   ├── SettingError
│   └── DeclarationError  a solution, rule or problem is declared wrongly
├── EnvironmentMissing    a program, package, port or file is missing  (exit 3)
└── Problem found         the work itself found something wrong        (exit 1)
    ├── DataError         readings or files that cannot be used
    ├── LeakError         a split that would let the test part into training
    ├── ModelError        a model file that cannot be trusted or does not fit
    ├── QueryError        a query that is malformed or over its limits
    │   ├── TooLargeError     a message of more bytes than are taken
    │   └── UnsupportedQuery  one that the standard allows and that is not answered here
    ├── NotFoundError     a thing that was asked for does not exist
    ├── ConflictError     a change that contradicts what is there
    ├── DeniedError       somebody may not do this
    │   └── SignInError       nobody said who they are, or nobody believes it
    ├── BusyError         somebody asks too often, or too much at once
    ├── StreamError       the log cannot be reached or refused
    │   └── AwayError         it may take the same later
    └── StoreError        the store cannot be read or written
"""

from __future__ import annotations

__all__ = [
    "AwayError",
    "BusyError",
    "ConflictError",
    "DataError",
    "DeclarationError",
    "DeniedError",
    "EnvironmentMissing",
    "LeakError",
    "ModelError",
    "NervureError",
    "NotFoundError",
    "QueryError",
    "SettingError",
    "SignInError",
    "StoreError",
    "StreamError",
    "TooLargeError",
    "UnsupportedQuery",
    "UsageError",
]


class NervureError(Exception):
    """An error a person can act on: what happened, where, and what to do.

    >>> print(NervureError("traffic: window '12min' is too short", where="$.problems[0].window",
    ...                    hint="use at least 15min"))
    traffic: window '12min' is too short
      at $.problems[0].window
    hint: use at least 15min
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  at {self.where}")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class UsageError(NervureError):
    """The command line asks for something that makes no sense."""

    exit_code = 2


class SettingError(UsageError):
    """A setting has a wrong name, type or value."""


class DeclarationError(UsageError):
    """A solution, signal, problem or rule is declared wrongly."""


class EnvironmentMissing(NervureError):
    """A program, package, port or file that this needs is not there."""

    exit_code = 3


class DataError(NervureError):
    """Readings or files that cannot be used as they are."""


class LeakError(NervureError):
    """A split that would let the test part into training."""


class ModelError(NervureError):
    """A model file that cannot be trusted, or does not fit its data."""


class QueryError(NervureError):
    """A query that is malformed or goes over its limits."""


class TooLargeError(QueryError):
    """A message of more bytes than are taken (HTTP 413)."""


class UnsupportedQuery(QueryError):
    """A question that the standard allows and that is not answered here (HTTP 501)."""


class ConflictError(NervureError):
    """A change that contradicts what is there: a key that is taken (HTTP 409)."""


class DeniedError(NervureError):
    """Somebody may not do this (HTTP 403)."""


class SignInError(DeniedError):
    """Nobody said who they are, or what they said is not believed (HTTP 401)."""


class BusyError(NervureError):
    """Somebody asks too often, or too much at once (HTTP 429): again in ``retry_s`` seconds."""

    def __init__(
        self, what: str, *, retry_s: float = 1.0, where: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.retry_s = retry_s


class NotFoundError(NervureError):
    """Something that was asked for does not exist."""


class StreamError(NervureError):
    """The log cannot be reached, or refused what it was given."""


class AwayError(StreamError):
    """The log does not answer, or has no room, for the moment: it may take the same later."""


class StoreError(NervureError):
    """The store cannot be read or written."""
