"""Any table becomes records to watch: wide or long, with or without a clock, labels kept from detectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nervure.core.error import DataError
from nervure.core.instant import HOUR_NS, SECOND_NS
from nervure.learn.detect.block import NORMAL, ODD
from nervure.learn.own.ask import Asked
from nervure.learn.own.table import Sheaf, open_table


def opened(folder: Path, text: str, **more: object) -> Sheaf:
    path = folder / "site.csv"
    path.write_text(text, "utf-8")
    columns = more.pop("columns", ())
    label = more.pop("label", None)
    return open_table(Asked(file=path, **more), columns=columns, label=label)  # type: ignore[arg-type]


WIDE = "timestamp,flow,pressure,note,anomaly\n" + "".join(
    f"2026-01-01T{hour:02d}:00:00Z,{hour},{'' if hour == 3 else 50 - hour},fine,{int(hour == 5)}\n"
    for hour in range(24)
)


def test_a_wide_table_is_one_record_without_words_and_labels(tmp_path: Path) -> None:
    sheaf = opened(tmp_path, WIDE)
    (block,) = sheaf.blocks
    assert block.channels == ("flow", "pressure")
    assert block.every_ns == HOUR_NS
    assert np.isnan(block.value[3, 1])
    assert block.value[4].tolist() == [4, 46]
    assert block.label is not None
    assert np.flatnonzero(block.label == ODD).tolist() == [5]
    assert (block.label[:5] == NORMAL).all()
    assert any("note" in one for one in sheaf.notes)
    assert any("not shown to detectors" in one for one in sheaf.notes)


def test_columns_asked_for_are_the_channels_even_one_called_anomaly(tmp_path: Path) -> None:
    sheaf = opened(tmp_path, WIDE, columns=("anomaly", "flow"))
    assert sheaf.blocks[0].channels == ("anomaly", "flow")
    assert sheaf.label is None


def test_rows_out_of_order_are_sorted_and_of_two_at_one_time_the_last_counts(tmp_path: Path) -> None:
    text = "time,x\n2026-01-01T02:00Z,2\n2026-01-01T00:00Z,0\n2026-01-01T01:00Z,1\n2026-01-01T01:00Z,9\n"
    (block,) = opened(tmp_path, text).blocks
    assert block.value[:, 0].tolist() == [0, 9, 2]


LONG = "time,sensor,value\n" + "".join(
    f"2026-01-01T{hour:02d}:{minute}:00Z,{name},{hour * size}\n"
    for hour in range(24)
    for name, size, minute in (("north", 1, "00"), ("south", 10, "01"))
)


def test_a_long_table_of_few_series_is_one_record_with_a_channel_each(tmp_path: Path) -> None:
    (block,) = opened(tmp_path, LONG).blocks
    assert block.channels == ("north", "south")
    assert block.value[7].tolist() == [7, 70]


def test_a_long_table_of_several_readings_is_a_record_each(tmp_path: Path) -> None:
    text = "time,site,flow,level\n" + "".join(
        f"2026-01-01T{hour:02d}:00Z,{name},{hour},{hour + 1}\n" for hour in range(24) for name in ("a", "b")
    )
    sheaf = opened(tmp_path, text)
    assert [one.name for one in sheaf.blocks] == ["a", "b"]
    assert sheaf.blocks[1].channels == ("flow", "level")


def test_a_table_without_a_clock_has_a_row_a_second_and_says_so(tmp_path: Path) -> None:
    sheaf = opened(tmp_path, "x;y\n" + "".join(f"{row},5;{row}\n" for row in range(30)))
    assert not sheaf.clock
    assert sheaf.blocks[0].every_ns == SECOND_NS
    assert sheaf.blocks[0].value[3].tolist() == [3.5, 3]
    assert any("second apart" in one for one in sheaf.notes)


def test_far_values_stay_for_they_are_what_is_looked_for(tmp_path: Path) -> None:
    text = "time,x\n" + "".join(
        f"2026-01-01T{row // 60:02d}:{row % 60:02d}Z,{1e6 if row == 70 else row % 7}\n" for row in range(120)
    )
    assert opened(tmp_path, text).blocks[0].value[70, 0] == 1e6


@pytest.mark.parametrize(
    ("text", "more", "says"),
    [
        ("time,note\n2026-01-01,a\n2026-01-02,b\n", {}, "no column holds numbers"),
        ("time\n2026-01-01\n", {}, "no column of readings"),
        (WIDE, {"columns": ("flw",)}, "no column 'flw'"),
        (WIDE, {"label": "lable"}, "no column 'lable'"),
        ("time,x\nyesterday,1\ntoday,2\n", {}, "cannot be used"),
        ("time,x\n", {}, "no row"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, text: str, more: dict[str, object], says: str) -> None:
    with pytest.raises(DataError, match=says):
        opened(tmp_path, text, **more)


def test_a_file_without_a_header_loses_no_row_and_its_columns_are_numbered(tmp_path: Path) -> None:
    sheaf = opened(tmp_path, "".join(f"{row / 10},{row * 2}\n" for row in range(50)))
    (block,) = sheaf.blocks
    assert block.channels == ("column 1", "column 2")
    assert len(block) == 50
    assert block.value[0].tolist() == [0.0, 0.0]
    assert any("no line names the columns" in one for one in sheaf.notes)


def test_columns_called_by_numbers_are_a_header(tmp_path: Path) -> None:
    (block,) = opened(tmp_path, "0,1,2\n" + "0.5,1.5,2.5\n" * 30).blocks
    assert block.channels == ("0", "1", "2")
    assert len(block) == 30


def test_a_date_and_a_time_of_day_in_two_columns_are_one_stamp(tmp_path: Path) -> None:
    rows = "".join(f"31/12/2023;{hour:02d}.30.00;{hour},5\n" for hour in range(24))
    (block,) = opened(tmp_path, "Date;Time;NO2\n" + rows).blocks
    assert block.channels == ("NO2",)
    assert block.every_ns == HOUR_NS
    assert block.value[3, 0] == 3.5
    assert int(block.time[0]) == 1_703_982_600 * SECOND_NS


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("timestamp_(min)", 60),
        ("time", 1),
        ("elapsed time [h]", 3600),
        ("t_stamp ms", 0.001),
        ("time [minute]", 60),
        ("time_day", 86_400),
        ("Time (sec)", 1),
    ],
)
def test_a_column_that_counts_is_a_clock_by_its_unit(tmp_path: Path, name: str, step: float) -> None:
    sheaf = opened(tmp_path, f"{name},x\n" + "".join(f"{row}.0,{row % 7}\n" for row in range(100)))
    (block,) = sheaf.blocks
    assert block.channels == ("x",)
    assert block.every_ns == round(step * SECOND_NS)
    assert any("from no date that is known" in one for one in sheaf.notes)


def test_readings_that_are_called_data_are_no_clock(tmp_path: Path) -> None:
    sheaf = opened(tmp_path, "Data,Label\n" + "".join(f"{row % 7}.25,{int(row == 9)}\n" for row in range(40)))
    (block,) = sheaf.blocks
    assert block.channels == ("Data",)
    assert sheaf.label == "Label"
    assert len(block) == 40


def test_a_column_called_time_whose_numbers_fall_is_read(tmp_path: Path) -> None:
    sheaf = opened(tmp_path, "response time,x\n" + "".join(f"{row * 7 % 5},{row}\n" for row in range(60)))
    assert sheaf.blocks[0].channels == ("response time", "x")
    assert any("taken for readings" in one for one in sheaf.notes)


def test_stamps_are_found_whatever_their_column_is_called(tmp_path: Path) -> None:
    rows = "".join(f"{hour},2026-01-01 {hour:02d}:00\n" for hour in range(24))
    (block,) = opened(tmp_path, "level,taken\n" + rows).blocks
    assert block.channels == ("level",)
    assert block.every_ns == HOUR_NS


@pytest.mark.parametrize("name", ["sensor_name", "MeterNo", "tag", "Measuring station"])
def test_words_that_name_sensors_tell_series_apart(tmp_path: Path, name: str) -> None:
    rows = "".join(
        f"2026-01-01T{hour:02d}:{minute}:00Z,{who},{hour * size}.5\n"
        for hour in range(24)
        for who, size, minute in (("north", 1, "00"), ("south", 10, "01"))
    )
    (block,) = opened(tmp_path, f"time,{name},reading\n" + rows).blocks
    assert block.channels == ("north", "south")


def test_switches_are_read_as_numbers_and_said_to_be(tmp_path: Path) -> None:
    rows = "".join(f"2026-01-01T{hour:02d}:00Z,{hour},{'ON' if hour % 3 else 'Off'}\n" for hour in range(24))
    sheaf = opened(tmp_path, "time,level,pump state\n" + rows)
    (block,) = sheaf.blocks
    assert block.channels == ("level", "pump state")
    assert block.value[:3, 1].tolist() == [0, 1, 1]
    assert any("on is 1 and off is 0" in one for one in sheaf.notes)
