"""A node does without pandas; who wants it afterwards has it."""

from __future__ import annotations

import subprocess
import sys

import pytest

_NODE = """
import sys
from nervure.cli.lean import lean
lean()
import nervure.node.compose
import pyarrow as pa, numpy as np
assert pa.array(np.arange(3)).to_numpy().tolist() == [0, 1, 2]
print("pandas" in sys.modules)
import pandas
print("pandas" in sys.modules)
"""


@pytest.mark.parametrize(
    ("program", "says"),
    [(_NODE, "False True"), (_NODE.replace("lean()", ""), "True True")],
    ids=["kept away", "as it was"],
)
def test_a_node_takes_in_no_pandas(program: str, says: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == says.split()
