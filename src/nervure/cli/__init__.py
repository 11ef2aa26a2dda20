"""The command line: one verb a file, each loaded when it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    0: it went well. 1: it found a problem. 2: the command or the settings are wrong. 3: something
    is missing on this machine. 130: stopped with Ctrl+C. Errors go to stderr, results to stdout.
    """
    from cyclopts import CycloptsError, UnknownCommandError

    from nervure.cli.app import build, unknown
    from nervure.cli.output import complain
    from nervure.core.error import NervureError

    try:
        result = build()(sys.argv[1:] if arguments is None else list(arguments))
    except NervureError as cause:
        complain(str(cause))
        return cause.exit_code
    except UnknownCommandError as cause:
        complain(unknown((cause.unused_tokens or [""])[0]))
        return 2
    except CycloptsError as cause:
        complain(f"{cause}\nhint: nervure --help, or nervure VERB --help")
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # what read us has seen enough: head, less
        sys.stderr.close()
        return 0
    return result if isinstance(result, int) else 0
