"""Files of one's own: every way to write stamps and numbers, and what is said of those that are wrong."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from nervure.core.error import DataError
from nervure.core.instant import HOUR_NS, iso
from nervure.learn.own.ask import Asked
from nervure.learn.own.moment import moments
from nervure.learn.own.number import numbers
from nervure.learn.own.reading import Readings, read_file

NAN = float("nan")
ROME = pa.timestamp("s", "Europe/Rome")


def read(folder: Path, text: str | bytes, *, name: str = "own.csv", **asked: Any) -> Readings:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_file(Asked(file=path, **asked))


def rows(found: Readings) -> list[tuple[str, str, float]]:
    return [
        (found.series[place], iso(int(time)), value)
        for place, time, value in zip(found.place, found.time, found.value[:, 0].tolist(), strict=True)
    ]


PLAIN = "unique_id,ds,y\na,2024-01-01 00:00:00,1.5\na,2024-01-01 01:00:00,2\nb,2024-01-01 00:00:00,-3\n"
WANTED = [
    ("a", "2024-01-01T00:00:00Z", 1.5),
    ("b", "2024-01-01T00:00:00Z", -3.0),
    ("a", "2024-01-01T01:00:00Z", 2.0),
]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", ";").replace(".", ","),
        PLAIN.replace("\n", "\r\n"),
        "\n# made by hand\n\n" + PLAIN + "\n,,\n",
        "sep=;\n" + PLAIN.replace(",", ";"),
        PLAIN.replace("a,", '"a",'),
        PLAIN.encode("utf-16"),
        b"\xef\xbb\xbf" + PLAIN.encode(),
        gzip.compress(PLAIN.encode(), mtime=0),
        bz2.compress(PLAIN.encode()),
        lzma.compress(PLAIN.encode()),
    ],
    ids=(
        "plain", "semicolon", "tab", "comma", "crlf", "remarks", "sep", "quoted", "utf16", "bom", "gz",
        "bz2", "xz",
    ),
)  # fmt: skip
def test_the_same_readings_however_they_are_written(tmp_path: Path, text: str | bytes) -> None:
    found = read(tmp_path, text)
    assert rows(found) == WANTED
    assert (found.rejected, found.empty) == ((), 0)


def test_parquet_with_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "when": pa.array([1_704_067_200 + 3600 * hour for hour in range(9)] + [None], ROME),
            "station": pa.array([7.0] * 9 + [8.0]),
            "level": pa.array(range(10), pa.int32()),
        }
    )
    pa.parquet.write_table(table, tmp_path / "own.parquet")
    found = read_file(Asked(file=tmp_path / "own.parquet", time="when", id="station", target="level"))
    assert rows(found)[:2] == [("7", "2024-01-01T00:00:00Z", 0.0), ("7", "2024-01-01T01:00:00Z", 1.0)]
    (lost,) = found.rejected
    assert (lost.line, lost.column, lost.reason) == (10, "when", "holds no time stamp")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2024-03-01T12:30:15Z", "2024-03-01T12:30:15Z"),
        ("2024-03-01T12:30:15.25+02:00", "2024-03-01T10:30:15.250000Z"),
        ("2024-03-01 12:30:15 -0330", "2024-03-01T16:00:15Z"),
        ("2024-03-01", "2024-03-01T00:00:00Z"),
        ("2024/3/1 7:05", "2024-03-01T07:05:00Z"),
        ("20240301T123015Z", "2024-03-01T12:30:15Z"),
        ("20240301", "2024-03-01T00:00:00Z"),
        ("2024030112", "2024-03-01T12:00:00Z"),
        ("01.03.2024 12:30", "2024-03-01T12:30:00Z"),
        ("31/03/2024 11:30 PM", "2024-03-31T23:30:00Z"),
        ("03/31/24 12:05 am", "2024-03-31T00:05:00Z"),
        ("1-Mar-2024 12:30", "2024-03-01T12:30:00Z"),
        ("March 1, 2024 12:30", "2024-03-01T12:30:00Z"),
        ("Fri, 01 Mar 2024 12:30:00 GMT", "2024-03-01T12:30:00Z"),
        ("2024-03-01T24:00", "2024-03-02T00:00:00Z"),
        ("1709296215", "2024-03-01T12:30:15Z"),
        ("1709296215.5", "2024-03-01T12:30:15.500000Z"),
        ("1709296215123", "2024-03-01T12:30:15.123000Z"),
        ("1709296215123456789", "2024-03-01T12:30:15.123456Z"),
    ],
)
def test_stamps(text: str, wanted: str) -> None:
    found = moments(pa.array([text]))
    assert not found.wrong
    assert iso(int(found.time[0])) == wanted


@pytest.mark.parametrize("text", ["2024-02-30", "yesterday", "2024-13-01", "25:00", "12", "2024-01-01T25:00"])
def test_what_is_no_stamp(text: str) -> None:
    assert list(moments(pa.array([text])).wrong) == ["is no time stamp"]


def test_days_and_months_are_told_apart_by_numbers_then_by_steps_then_by_asking(tmp_path: Path) -> None:
    def days(*texts: str, **asked: Any) -> list[str]:
        lines = "".join(f"{text},1\n" for text in texts)
        return [time[:10] for _, time, _ in rows(read(tmp_path, "ds,y\n" + lines, **asked))]

    assert days("02/01/2024", "13/01/2024") == ["2024-01-02", "2024-01-13"]
    assert days("01/02/2024", "01/13/2024") == ["2024-01-02", "2024-01-13"]
    assert days("01/02/2024", "02/02/2024", "03/02/2024", "04/02/2024") == [
        "2024-02-01", "2024-02-02", "2024-02-03", "2024-02-04"
    ]  # fmt: skip
    assert days("01/02/2024", dates="mdy") == ["2024-01-02"]
    with pytest.raises(DataError, match=r"01/02/2024 may be two dates[\s\S]*--dates dmy"):
        days("01/02/2024")


@pytest.mark.parametrize(
    ("cells", "separator", "wanted"),
    [
        (["1.5", "+2", "-3e-1", ".5", "5."], ",", [1.5, 2, -0.3, 0.5, 5]),
        (["1,5", "2"], ";", [1.5, 2]),
        (["1.234,5", "1.234", "7"], ";", [1234.5, 1234, 7]),
        (["1,234.5", "1,234"], ",", [1234.5, 1234]),
        (["1,234", "1"], ",", [1234, 1]),
        (["1,234", "1"], ";", [1.234, 1]),
        (["1 234,5", "12"], ";", [1234.5, 12]),
        (["", "NaN", "NA", "null", "-", "None", "#N/A", "4"], ",", [NAN] * 7 + [4]),
        (["-999", "3", "4"], ",", [NAN, 3, 4]),
        (["-999", "-998", "4"], ",", [-999, -998, 4]),
    ],
)
def test_numbers(cells: list[str], separator: str, wanted: list[float]) -> None:
    found = numbers(pa.array(cells), separator=separator)
    assert not found.wrong
    np.testing.assert_array_equal(found.value, wanted)
    assert found.empty == int(np.isnan(wanted).sum())


def test_what_1_234_means_is_said_where_nothing_tells_it() -> None:
    assert "1,234 is read as 1.234" in numbers(pa.array(["1,234"]), separator=";").notes[0]
    assert numbers(pa.array(["1,234"]), separator=";", decimal=".").value.tolist() == [1234]


def test_cells_that_are_wrong_are_rejected_with_line_and_reason(tmp_path: Path) -> None:
    good = "".join(f"a,2024-01-{day:02},{day}\n" for day in range(1, 29))
    text = (
        "unique_id,ds,y\n" + good + "\na,soon,1\na,2024-02-30,1\n,2024-02-01,1\na,2024-02-01,inf\n"
        'a,2024-02-02,broken\na,2024-02-03,1,2\n"a",2024-02-04,5\na,2024-02-05\n'
    )
    found = read(tmp_path, text)
    assert [(one.line, one.column, one.value, one.reason) for one in found.rejected] == [
        (31, "ds", "soon", "is no time stamp"),
        (32, "ds", "2024-02-30", "is no time stamp"),
        (33, "unique_id", "", "names no series"),
        (34, "y", "inf", "is infinite"),
        (35, "y", "broken", "is not a number"),
        (36, "", "a,2024-02-03,1,2", "the row has 4 cells and the header 3"),
    ]
    assert found.rows == 36, "the empty line is no row"
    assert found.empty == 1, "a row that is too short has empty cells"


def test_lines_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    text = 'remark,ds,y\n"two\nlines",2024-01-01,1\nx,2024-01-02,2\n\nx,2024-01-03,bad\n'
    text += "".join(f"x,2024-01-{day:02},1\n" for day in range(4, 12))
    found = read(tmp_path, text)
    assert [one.line for one in found.rejected] == [6]
    assert text.splitlines()[5] == "x,2024-01-03,bad"


@pytest.mark.parametrize(
    ("text", "asked", "says"),
    [
        ("", {}, "is empty"),
        ("ds,y\n", {}, "holds no row below its header"),
        ("date,flow\n2024-01-01,1\n", {"time": "ds"}, "there is no column 'ds'"),
        ("date,flow\n2024-01-01,1\n", {"time": "ds"}, "hint: perhaps --time date"),
        ("ds,sensor,y\n1,2,3\n", {"id": "unique_id"}, "hint: perhaps --id sensor"),
        ("ds,Flow rate\n1,2\n", {"target": "Flow rat"}, 'hint: perhaps --target "Flow rate"'),
        ("2024-01-01,1\n2024-01-02,2\n", {"time": "ds"}, "the first line must name the columns"),
        ("ds,y,y\n2024-01-01,1,2\n", {"target": "y"}, "2 columns are called 'y'"),
        ("ds,y\n2024-01-01,1\n", {"id": "ds"}, "is meant by --time and by --id"),
        ("ds,a,b\n2024-01-01,1,2\n", {}, "which column is what is to be foreseen?"),
        ("ds,y\n2024-01-01,x\n2024-01-02,1\n", {}, "rows cannot be used: is not a number (line 2: 'x')"),
        ("ds,y\n0,1\n1,2\n2,3\n", {}, "column 'ds': 3 of 3 rows cannot be used: is no time stamp"),
        ("ds,y\n2024-01-01,1,5\n2024-01-02,2,5\n", {}, "decimal commas need another separator"),
        ('ds,y\n2024-01-01,"1\n2024-01-02,2\n2024-01-03,3\n', {}, 'line 2: a quotation mark (") is opened'),
        (b"PK\x03\x04....", {}, "Excel workbook"),
        (gzip.compress(PLAIN.encode(), mtime=0)[:-12], {}, "cannot read"),
        ("ds,y\n2024-01-01T00:00,1\n", {"zone": "Europe/Roma"}, "'Europe/Roma' is not a time zone"),
    ],
)  # fmt: skip
def test_files_that_are_wrong_say_what_to_do(
    tmp_path: Path, text: str | bytes, asked: dict[str, Any], says: str
) -> None:
    with pytest.raises(DataError) as found:
        read(tmp_path, text, **asked)
    assert says in str(found.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_file(Asked(file=tmp_path / "gone.csv"))


def test_hours_that_clocks_repeat_and_skip(tmp_path: Path) -> None:
    autumn = [f"2021-10-31 {hour}" for hour in ("01:00", "02:00", "02:30", "02:00", "02:30", "03:00")]
    utc = [
        f"2021-10-{day}" for day in ("30T23:00", "31T00:00", "31T00:30", "31T01:00", "31T01:30", "31T02:00")
    ]
    for order in (1, -1):
        lines = [f"{one},{stamp},{place}" for one in "ab" for place, stamp in [*enumerate(autumn)][::order]]
        found = read(tmp_path, "\n".join(["id,ds,y", *lines]), zone="Europe/Rome")
        for one in "ab":
            own = [(time[:16], value) for name, time, value in rows(found) if name == one]
            assert own == [(time, float(place)) for place, time in enumerate(utc)]
    spring = [f"2022-03-27 {hour:02}:00,{hour}" for hour in range(24)]
    found = read(tmp_path, "\n".join(["ds,y", *spring]), zone="Europe/Rome")
    assert [(one.line, one.reason) for one in found.rejected] == [
        (4, "never was in Europe/Rome: the clocks skipped that hour")
    ]
    assert len(found.time) == 23
    assert set(np.diff(found.time)) == {HOUR_NS}


def test_stamps_that_know_their_zone_are_believed_row_by_row(tmp_path: Path) -> None:
    text = "ds,y\n2024-07-01T00:00:00+02:00,1\n2024-06-30T23:00:00Z,2\n2024-07-01T02:00:00,3\n"
    found = read(tmp_path, text, zone="Europe/Rome")
    assert [time for _, time, _ in rows(found)] == [
        "2024-06-30T22:00:00Z", "2024-06-30T23:00:00Z", "2024-07-01T00:00:00Z"
    ]  # fmt: skip
    assert found.naive


def test_identities_are_text_whatever_they_look_like(tmp_path: Path) -> None:
    names = ["007", "12", "via Po / 3", "Größe", "a;b", "NA station"]
    lines = [f"{name},2024-01-01T0{hour}:00,1" for name in names for hour in range(2)]
    assert set(read(tmp_path, "\n".join(["id,ds,y", *lines])).series) == set(names)


@pytest.mark.parametrize("name", ["Time_Step", "DateTime", "date-time", "Measured at (time)", "TIMESTAMP"])
def test_the_column_of_stamps_is_known_by_its_name(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, f"{name},y\n2024-01-01,1\n").columns.time == name


def test_a_column_that_numbers_the_rows_is_no_identity(tmp_path: Path) -> None:
    lines = [f"{row},2024-01-{row:02},{row}" for row in range(1, 31)]
    found = read(tmp_path, "\n".join(["id,ds,y", *lines]))
    assert found.series == ("own",)
    assert any("numbers the rows" in note for note in found.notes)


def test_a_stray_stamp_does_not_stretch_the_history(tmp_path: Path) -> None:
    lines = [f"2024-01-01 {hour:02}:00,{hour}" for hour in range(24)] + ["1970-01-01 00:00,5"]
    found = read(tmp_path, "\n".join(["ds,y", *lines]))
    assert [(one.line, one.value) for one in found.rejected] == [(26, "1970-01-01 00:00")]
    assert len(found.time) == 24


def test_drivers_stay_where_the_target_is_missing(tmp_path: Path) -> None:
    text = "ds,y,temp,rain\n2024-01-01,1,5,x\n2024-01-02,,6,0\n2024-01-03,2,7,1\n" + "".join(
        f"2024-01-{day:02},1,1,1\n" for day in range(4, 10)
    )
    found = read(tmp_path, text, past=("rain",), future=("temp",))
    assert found.signals == ("y", "rain", "temp")
    np.testing.assert_array_equal(found.value[:3], [[1, NAN, 5], [NAN, 0, 6], [2, 1, 7]])
    assert [(one.line, one.column) for one in found.rejected] == [(2, "rain")]


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (["0,782", "0,9"], [0.782, 0.9]),
        (["0,782", "1,234"], [0.782, 1.234]),
        (["-0,782", "12,345"], [-0.782, 12.345]),
        (["0.782", "1,234"], [0.782, 1234]),
    ],
)
def test_no_thousands_begin_with_0(cells: list[str], wanted: list[float]) -> None:
    found = numbers(pa.array(cells), separator=",")
    assert not found.wrong
    assert found.value.tolist() == wanted
    assert not found.notes


@pytest.mark.parametrize(
    ("header", "asked", "says"),
    [
        ("ds,y", {"id": "unique_id", "target": "y"}, "leave --id out if the file holds one series"),
        ("ds,sensor,y", {"id": "unique_id"}, "perhaps --id sensor; leave --id out if the file holds one"),
        ("ds,north,south,west", {"id": "unique_id", "target": "y"}, "wide format[\\s\\S]*melt"),
        ("ds,north,south,west", {"target": "y"}, "no column 'y'[\\s\\S]*melt"),
        ("ds,north,south,west", {}, "which column is what is to be foreseen[\\s\\S]*melt"),
    ],
    ids=["one series", "another name", "wide by id", "wide by target", "wide"],
)
def test_a_file_of_one_series_or_a_wide_one_says_what_to_do(
    tmp_path: Path, header: str, asked: dict[str, Any], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        read(tmp_path, header + "\n2024-01-01" + ",1" * header.count(",") + "\n", **asked)


def test_a_file_that_was_cut_off_is_said(tmp_path: Path) -> None:
    whole = "ds,y\n" + "".join(f"2024-01-{day:02},1\n" for day in range(1, 29))
    for text in (whole, "ds,y\n2"):
        with pytest.raises(DataError, match=r"cannot read own.csv to its end[\s\S]*cut off"):
            read(tmp_path, text.encode("utf-16")[:-1])
