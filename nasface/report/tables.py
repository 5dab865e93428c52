"""Tables as plain text for the console and as Markdown, with figures that a reader can take in."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nasface.metrics.aflw2000 import YAW_BINS

if TYPE_CHECKING:
    from nasface.metrics.aflw2000 import BinnedNME

NOTHING = "-"
"""What stands where there is no figure."""

_EXTRA = ("dense", "roughness", "stability")  # columns that stand only where there are figures
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class NMERow:
    """One network's line in the field's table, of one training.

    Attributes:
        name: of the network.
        bins: NME (%) of the three yaw bins; NaN or None where a bin has no image.
        mean: of the bins.
        all: NME (%) over all images.
        parameters: how many.
        macs: multiply-adds of one image.
        latency_ms: of one image on the CPU, in milliseconds.
        dense: NME (%) of the dense shape over all images; None where there is none.
        train_s: seconds of training.
        stability: error (%) of the landmarks' motion from frame to frame; None where it was not measured.
        roughness: of the dense shape, percent; None where there is none.
    """

    name: str
    bins: tuple[float | None, float | None, float | None]
    mean: float | None
    all: float | None
    parameters: float | None = None
    macs: float | None = None
    latency_ms: float | None = None
    dense: float | None = None
    train_s: float | None = None
    stability: float | None = None
    roughness: float | None = None


def yaw_table(rows: Iterable[NMERow | Sequence[NMERow]], *, more: bool = False, markdown: bool = False) -> str:
    """The field's table as text, of `yaw_cells`; `markdown` for a README instead of a console."""
    return (markdown_table if markdown else text_table)(*yaw_cells(rows, more=more))


def yaw_cells(rows: Iterable[NMERow | Sequence[NMERow]], *, more: bool = False) -> tuple[list[str], list[list[str]]]:
    """Head and lines of the field's table: name, NME (%) by yaw bin, their mean, over all images, and the costs.

    Args:
        rows: a network's row, or the rows of its seeds: then an NME is shown as mean ± sample standard deviation
            over the seeds, and a cost as its mean.
        more: training time, too. Dense NME, roughness and stability are shown where any row has them.
    """
    networks = [[entry] if isinstance(entry, NMERow) else list(entry) for entry in rows]
    extra = [name for name in _EXTRA if any(getattr(row, name) is not None for seeds in networks for row in seeds)]
    header = ["", *YAW_BINS, "mean", "all", *extra]
    header += ["parameters", "MACs", "CPU latency"]
    header += ["training"] * more
    body = []
    for seeds in networks:
        if not seeds:
            raise ValueError("an entry without any row")
        errors = [[row.bins[index] for row in seeds] for index in range(len(YAW_BINS))]
        errors += [[row.mean for row in seeds], [row.all for row in seeds]]
        errors += [[getattr(row, name) for row in seeds] for name in extra]
        body.append(
            [
                seeds[0].name,
                *(spread(values) for values in errors),
                _mean_of([row.parameters for row in seeds], quantity),
                _mean_of([row.macs for row in seeds], quantity),
                _mean_of([row.latency_ms for row in seeds], milliseconds),
                *[_mean_of([row.train_s for row in seeds], duration)] * more,
            ]
        )
    return header, body


def protocol_table(rows: Iterable[tuple[str, BinnedNME]], *, decimals: int = 2) -> str:
    """One line a protocol (or a network under one protocol): NME (%) by yaw bin, mean ± standard deviation of the bin
    means (over bins, as 3DDFA's benchmark prints it), over all images, and how many images each bin has.

    Args:
        rows: name and figures.
        decimals: of the percentages.
    """

    def show(value: float) -> str:
        return NOTHING if math.isnan(value) else f"{value:.{decimals}f}"

    header = ["", *YAW_BINS, "mean ± std of bins", "all", "images"]
    body = [
        [
            name,
            *(show(value) for value in result.bins),
            NOTHING if math.isnan(result.mean) else f"{show(result.mean)} ± {show(result.std)}",
            show(result.all),
            " / ".join(map(str, result.counts)),
        ]
        for name, result in rows
    ]
    return text_table(header, body)


def text_table(header: Sequence[str], body: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    """Aligned columns, those of `left` to the left, the others to the right; no line ends in spaces."""
    lines = [header, *body]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    rule = ["-" * width for width in widths]
    return "\n".join(_aligned(line, widths, "  ", left).rstrip() for line in [header, rule, *body])


def markdown_table(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """The same as a Markdown table; it reads well as text, too."""
    header, *body = [[cell.replace("|", "\\|") for cell in line] for line in [header, *body]]
    widths = [max(3, *(len(line[column]) for line in [header, *body])) for column in range(len(header))]
    rule = [("-" * width if column == 0 else "-" * (width - 1) + ":") for column, width in enumerate(widths)]
    return "\n".join(f"| {_aligned(line, widths, ' | ')} |" for line in [header, rule, *body])


def _aligned(line: Sequence[str], widths: Sequence[int], separator: str, left: Sequence[int] = (0,)) -> str:
    cells = enumerate(zip(line, widths, strict=True))
    return separator.join(cell.ljust(width) if i in left else cell.rjust(width) for i, (cell, width) in cells)


def quantity(value: float) -> str:
    """A count with three digits and its prefix: 2.41 M, 53.1 M, 1.20 G, 512."""
    for scale, prefix in _PREFIXES:
        # Rounded first, so that 999,999 is 1.00 M and not 1000 k.
        if float(f"{abs(value):.3g}") >= scale:
            return f"{three_digits(value / scale)} {prefix}"
    return three_digits(value) if value != int(value) else str(int(value))


def signed_degrees(angle: float) -> str:
    """An angle in whole degrees with its sign: +12°, −90°, 0°; ?° of one that is not known (NaN)."""
    if not math.isfinite(angle):
        return "?°"
    whole = round(angle)
    return f"{whole:+d}°".replace("-", "−") if whole else "0°"


def duration(seconds: float) -> str:
    """Seconds to tenths, as they are measured, minutes or hours with three digits."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{three_digits(seconds / 60)} min" if seconds < 6000 else f"{three_digits(seconds / 3600)} h"


def milliseconds(value: float) -> str:
    """A time in milliseconds: 0.42 ms, 4.2 ms, 53 ms, 1.20 s."""
    if float(f"{value:.2g}") >= 1000:
        return f"{three_digits(value / 1000)} s"
    return f"{value:.{_decimals(value, 2)}f} ms"


def size(number: int) -> str:
    """Bytes with three digits and a prefix: 512 B, 2.41 MB."""
    return f"{quantity(number)}B" if number >= 1000 else f"{number} B"


def three_digits(value: float) -> str:
    """Three significant digits without an exponent: 0.0123, 2.41, 53.1, 812."""
    return f"{value:.{_decimals(value, 3)}f}"


def spread(values: Iterable[float | None]) -> str:
    """Percentages over seeds: one as 3.19, several as their mean ± sample standard deviation; without any, a dash."""
    known = _known(values)
    if not known:
        return NOTHING
    mean = f"{statistics.fmean(known):.2f}"
    return mean if len(known) == 1 else f"{mean} ± {statistics.stdev(known):.2f}"


def _mean_of(values: Iterable[float | None], show: Callable[[float], str]) -> str:
    known = _known(values)
    return show(statistics.fmean(known)) if known else NOTHING


def _known(values: Iterable[float | None]) -> list[float]:
    return [float(value) for value in values if value is not None and not math.isnan(value)]


def _decimals(value: float, digits: int) -> int:
    """Decimals that show so many significant digits, counted after rounding (9.996 has two: 10.0)."""
    if value == 0 or not math.isfinite(value):
        return digits - 1
    exponent = int(f"{value:.{digits - 1}e}".split("e")[1])
    return max(0, digits - 1 - exponent)
