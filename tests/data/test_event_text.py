"""Events as text: columns, units of time, and lines that are no events."""

import numpy as np
import pytest

from brainleaks import InputError
from brainleaks.data._decoders import numbers
from brainleaks.data.event_files import read_events

#: x, y, p and t in microseconds, over more than ten milliseconds.
ROWS = [(33, 39, 1, 0), (158, 145, 1, 11), (88, 143, 0, 50_000), (174, 154, 0, 50_050)]


def written(path, header, rows, between=","):
    lines = [header] if header else []
    path.write_text("\n".join([*lines, *(between.join(map(str, row)) for row in rows)]))
    return path


def read(path, **how):
    x, y, t, p = (column.tolist() for column in read_events(path, **how))
    return list(zip(x, y, p, t, strict=True))


@pytest.mark.parametrize(
    ("header", "order", "scale"),
    [
        ("x,y,p,t", (0, 1, 2, 3), 1),
        ("t,x,y,p", (3, 0, 1, 2), 1),
        ("Timestamp; Polarity; X; Y", (3, 2, 0, 1), 1),
        ('"ts","x","y","pol"', (3, 0, 1, 2), 1),
        ("# t_us x y polarity", (3, 0, 1, 2), 1),
        ("x,y,p,t_ms", (0, 1, 2, 3), 1e-3),
        ("x,y,p,time [s]", (0, 1, 2, 3), 1e-6),
        ("x,y,p,timestamp(us)", (0, 1, 2, 3), 1),
        (None, (3, 0, 1, 2), 1),
    ],
)
def test_columns_and_units(tmp_path, header, order, scale):
    rows = [[row[i] * scale if i == 3 and scale != 1 else row[i] for i in order] for row in ROWS]
    between = ";" if header and ";" in header else " " if header is None else ","
    assert read(written(tmp_path / "a.csv", header, rows, between)) == ROWS


def test_the_rpg_data_set(tmp_path):
    """``t x y p`` in seconds, with nine digits."""
    path = tmp_path / "events.txt"
    path.write_text(
        "0.000000000 33 39 1\n0.000011001 158 145 1\n0.050000000 88 143 0\n0.050050000 174 154 0\n"
    )
    assert read(path) == ROWS
    path.write_text("1468939993.067416019 33 39 1\n1468939993.067427 158 145 0\n")
    assert read_events(path).t.tolist() == [1468939993067416, 1468939993067427]


def test_other_columns_comments_and_line_ends(tmp_path):
    path = tmp_path / "a.csv"
    text = "\ufeffindex,x,y,p,t,camera\r\n# a comment\r\n0,33,39,1,0,7\r\n\r\n"
    text += "1, 158 ,145,1,20000,7\r\n"
    path.write_text(text, encoding="utf-8", newline="")
    assert read(path) == [(33, 39, 1, 0), (158, 145, 1, 20_000)]
    path.write_text("# events of a camera\n20 33 39 -1\n20020 158 145 1\n")
    assert read(path) == [(33, 39, 0, 20), (158, 145, 1, 20_020)]


def test_numbers_are_those_of_python():
    texts = ["0", "-0.5", "+12.25", "1e3", "2.5E-3", "123456789012345678901", ".5", "7.", "1e-320"]
    texts += [str(value) for value in np.random.default_rng(0).random(500) * 1e4]
    rows, wrong = numbers(np.frombuffer("\n".join(texts).encode(), np.uint8), 1)
    assert wrong == -1
    assert np.allclose(rows[:, 0], [float(text) for text in texts], rtol=3e-16, atol=1e-307)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x,y,p,t\n1,2,1,0\n1,2,20000\n", "line 3 is '1,2,20000'; expected 4 numbers"),
        ("x,y,p,t\n1,2,1,0,9\n", "line 2 is"),
        ("x,y,p,t\n1,,1,0\n", "line 2 is"),
        ("x,y,p,t\n1,2,1,abc\n", "line 2 is"),
        ("x,y,p,t\n", "is empty"),
        ("", "is empty"),
        ("hello world\n1 2 3 4\n", "x is missing"),
        ("x,y,p\n1,2,1\n", "expected one each for x, y, p and t"),
        ("x,y,p,t,time\n1,2,1,3,3\n", "has two columns for t"),
        ("x,y,p,t_ns\n1,2,1,3\n", "t is missing"),
        ("1 2 1 50000\n1 2 1 90000\n", "begin the file with a line such as x,y,p,t"),
        ("x,y,p,t\n1,2,1,0\n1,2,1,2000\n", "cannot be told; set time_unit"),
        ("x,y,p,t\n1,2,1,0.5\n1,2,1,2000.7\n", "numbers with fractions that span 2,000.2"),
        ("x,y,p,t\n1,2,1,90000\n1,2,1,20000\n", "Use repair_times=True"),
        ("x,y,p,t\n1.5,2,1,0\n1,2,1,20000\n", "event 0 lies at x = 1.5"),
        ("x,y,p,t\n1,2,1,0\n1,2,1,1e400\n", "implausible"),
    ],
)
def test_what_is_no_event_is_named(tmp_path, text, said):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=said.replace("(", r"\(")) as caught:
        read_events(path)
    assert "a.csv" in str(caught.value)


def test_a_unit_that_is_given_counts(tmp_path):
    path = written(tmp_path / "a.csv", "x,y,p,t", [(1, 2, 1, 0), (1, 2, 0, 2_000)])
    assert read_events(path, time_unit="ms").t.tolist() == [0, 2_000_000]
    assert read_events(path, time_unit="us").t.tolist() == [0, 2_000]
