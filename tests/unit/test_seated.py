"""What `nervure act run` is given: a clear word where a label, a file or a place to write is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nervure.act.seat import Asked, Loop
from nervure.cli.seated import loops_of, model_of, tracing
from nervure.cli.steer import run
from nervure.core.error import EnvironmentMissing, UsageError

ASKED = Asked(
    task=1, capability=2, values={"x": 1.0}, moment_ns=1, read_ns=2, heard_ns=3, asked_ns=4, inputs=""
)


def capability(id_: int, *fields: dict[str, Any], under: str = "field") -> dict[str, Any]:
    return {"@iot.id": id_, "taskingParameters": {"type": "DataRecord", under: list(fields)}}


def test_a_field_without_a_label_is_left_out_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    plain = {"name": "phase", "type": "Quantity"}
    signal = capability(5, plain | {"label": "mid/phase"})
    assert loops_of([signal, capability(6, plain)]) == {"mid/phase": Loop(5, "phase")}
    assert capsys.readouterr().err == "field 'phase' of loop 6 has no label: left out\n"
    with pytest.raises(UsageError, match="field 'phase' of loop 6 has no label") as caught:
        loops_of([capability(6, plain)])
    assert '"label": "mid/phase"' in str(caught.value)


@pytest.mark.parametrize("parameters", [None, {}, {"field": None}, {"field": [3, {"type": "Quantity"}]}])
def test_a_capability_without_fields_is_no_loop(parameters: Any) -> None:
    with pytest.raises(UsageError, match="no loop here has a field"):
        loops_of([{"@iot.id": 5, "taskingParameters": parameters}])


def test_fields_of_swe_common_3_have_their_label_within() -> None:
    inner = {"type": "Quantity", "label": "mid/phase"}
    told = capability(5, {"name": "phase", "component": inner}, under="fields")
    assert loops_of([told]) == {"mid/phase": Loop(5, "phase")}


def test_a_model_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="learned needs its file"):
        model_of(None)
    with pytest.raises(EnvironmentMissing, match="cannot be read: No such file") as caught:
        model_of(tmp_path / "gone.onnx")
    assert str(tmp_path / "gone.onnx") in str(caught.value)
    with pytest.raises(EnvironmentMissing, match="cannot be read: Is a directory"):
        model_of(tmp_path)


def test_a_trace_that_cannot_be_written_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentMissing, match="the trace cannot be written: No such file"):
        tracing(tmp_path / "gone" / "trace")
    file = tmp_path / "trace"
    tracing(file)(ASKED)
    assert file.read_text().startswith('{"task":1,')


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk here")
def test_a_disk_that_fills_up_ends_no_controller(capsys: pytest.CaptureFixture[str]) -> None:
    tell = tracing(Path("/dev/full"))
    for _ in range(3):
        tell(ASKED)
    assert capsys.readouterr().err == "the trace cannot be written: No space left on device\n"


def test_a_lease_of_nothing_is_refused() -> None:
    from nervure.cli.joining import Joining

    with pytest.raises(UsageError, match="--lease -5 holds nothing"):
        run("max-pressure", joining=Joining(lease=-5.0))
