"""``python -m nervure.cli``, where the script ``nervure`` is not on the path."""

from __future__ import annotations

import sys

from nervure.cli import main

if __name__ == "__main__":
    sys.exit(main())
