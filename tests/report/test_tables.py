from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasface.metrics.aflw2000 import binned_nme
from nasface.report.tables import (
    NMERow,
    duration,
    markdown_table,
    milliseconds,
    protocol_table,
    quantity,
    signed_degrees,
    spread,
    text_table,
    yaw_table,
)

SEARCHED = NMERow("searched", (2.536, 3.1, 3.934), 3.19, 2.944, 2_412_345, 53_120_000, 4.21)
BARE = NMERow("PRNet", (2.75, 3.51, math.nan), 3.62, None)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (1000, "1.00 k"),
        (9_996, "10.0 k"),
        (12_345, "12.3 k"),
        (999_499, "999 k"),
        (999_500, "1.00 M"),
        (2_412_345, "2.41 M"),
        (53_120_000, "53.1 M"),
        (1_200_000_000, "1.20 G"),
        (2.5, "2.50"),
    ],
)
def test_quantities(value: float, shown: str) -> None:
    assert quantity(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0421, "0.042 ms"), (0.999, "1.0 ms"), (4.21, "4.2 ms"), (9.96, "10 ms"), (53.4, "53 ms"), (999.6, "1.00 s")],
)
def test_milliseconds(value: float, shown: str) -> None:
    assert milliseconds(value) == shown


@given(st.integers(1, 10**15))
def test_a_quantity_is_right_to_three_digits(value: int) -> None:
    number, _, prefix = quantity(value).partition(" ")
    scale = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[prefix]
    assert float(number) * scale == pytest.approx(value, rel=0.005)
    assert len(number.replace(".", "")) <= 3 or prefix == "T"


def test_spread_over_seeds() -> None:
    assert spread([3.194]) == "3.19"
    assert spread([3.0, 3.2, 3.4]) == "3.20 ± 0.20"  # sample standard deviation, n - 1
    assert spread([3.0, math.nan, None]) == "3.00"
    assert spread([math.nan]) == "-"


def test_the_table_as_text() -> None:
    assert yaw_table([BARE, SEARCHED]).splitlines() == [
        "          [0,30]  [30,60]  [60,90]  mean   all  parameters    MACs  CPU latency",
        "--------  ------  -------  -------  ----  ----  ----------  ------  -----------",
        "PRNet       2.75     3.51        -  3.62     -           -       -            -",
        "searched    2.54     3.10     3.93  3.19  2.94      2.41 M  53.1 M       4.2 ms",
    ]


def test_dense_error_and_training_time_where_asked() -> None:
    row = NMERow("PRNet", (1, 2, 3), 2, 2, dense=2.345, train_s=190)
    assert yaw_table([row, SEARCHED], more=True).splitlines() == [
        "          [0,30]  [30,60]  [60,90]  mean   all  dense  parameters    MACs  CPU latency  training",
        "--------  ------  -------  -------  ----  ----  -----  ----------  ------  -----------  --------",
        "PRNet       1.00     2.00     3.00  2.00  2.00   2.35           -       -            -  3.17 min",
        "searched    2.54     3.10     3.93  3.19  2.94      -      2.41 M  53.1 M       4.2 ms         -",
    ]


def test_the_table_as_markdown() -> None:
    assert yaw_table([SEARCHED], markdown=True).splitlines() == [
        "|          | [0,30] | [30,60] | [60,90] | mean |  all | parameters |   MACs | CPU latency |",
        "| -------- | -----: | ------: | ------: | ---: | ---: | ---------: | -----: | ----------: |",
        "| searched |   2.54 |    3.10 |    3.93 | 3.19 | 2.94 |     2.41 M | 53.1 M |      4.2 ms |",
    ]


def test_seeds_become_one_line() -> None:
    second = NMERow("searched", (2.0, 3.3, 4.0), 3.1, 3.0, 2_000_000, 60_000_000, 4.0)
    line = yaw_table([[SEARCHED, second]]).splitlines()[-1]
    assert line.split("  ")[0] == "searched"
    assert "2.27 ± 0.38" in line
    assert "2.21 M" in line
    assert "4.1 ms" in line
    with pytest.raises(ValueError, match="without any row"):
        yaw_table([[]])


cells = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=12)
tables = st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(cells, min_size=n, max_size=n), min_size=1, max_size=5))


@given(tables)
def test_columns_are_aligned(lines: list[list[str]]) -> None:
    header, *body = lines
    rows = markdown_table(header, body).splitlines()
    assert len({len(row) for row in rows}) == 1
    text = text_table(header, body).splitlines()
    assert len(text) == len(lines) + 1
    assert not any(row.endswith(" ") for row in text)


def test_the_table_of_protocols() -> None:
    full = binned_nme([1.0, 3.0, 4.0, 9.0], [0, 10, 40, 80])
    part = binned_nme([2.25], [70])
    assert protocol_table([("2D", full), ("3D", part)]).splitlines() == [
        "    [0,30]  [30,60]  [60,90]  mean ± std of bins   all     images",
        "--  ------  -------  -------  ------------------  ----  ---------",
        "2D    2.00     4.00     9.00         5.00 ± 2.94  4.25  2 / 1 / 1",
        "3D       -        -     2.25         2.25 ± 0.00  2.25  0 / 0 / 1",
    ]
    assert "5.000 ± 2.944" in protocol_table([("2D", full)], decimals=3).splitlines()[-1]
    nothing = protocol_table([("none", binned_nme([], []))]).splitlines()[-1]
    assert nothing.split() == ["none", *"-----", *"0/0/0"]


def test_stability_has_a_column_where_it_was_measured() -> None:
    header, _, first, second = yaw_table([replace(BARE, stability=0.481), SEARCHED]).splitlines()
    assert header.split()[:6] == ["[0,30]", "[30,60]", "[60,90]", "mean", "all", "stability"]
    assert first.split()[6] == "0.48" and second.split()[6] == "-"
    assert "stability" not in yaw_table([BARE, SEARCHED])


@pytest.mark.parametrize(
    ("angle", "shown"),
    [(12.4, "+12°"), (-89.6, "−90°"), (-0.4, "0°"), (0.2, "0°"), (-0.6, "−1°"), (float("nan"), "?°")],
)
def test_signed_degrees(angle: float, shown: str) -> None:
    assert signed_degrees(angle) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.2, "0.2 s"), (71.04, "71.0 s"), (120.0, "2.00 min"), (7200.0, "2.00 h")]
)
def test_duration(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
