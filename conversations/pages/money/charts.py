"""Stacked bars by day as SVG: geometry only, the template draws it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.utils.formats import date_format

LEFT, RIGHT, TOP, BOTTOM = 48.0, 8.0, 14.0, 24.0
GRID_LINES = 3
SERIES = 5  # as many as there are colours; the last one is for all others


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a bar, of one series (from 1)."""

    series: int
    y: str
    height: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A day. `label` stands under it, empty where there is no room; `is_open`: the day is not over."""

    x: str
    width: str
    middle: str
    label: str
    title: str
    parts: list[Part]
    is_open: bool


@dataclass(frozen=True, slots=True)
class GridLine:
    y: str
    text_y: str
    label: str


@dataclass(frozen=True, slots=True)
class Limit:
    """A line that a day should not cross, and what is written on it."""

    y: str
    text_y: str
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything the template needs."""

    width: int
    height: int
    bars: list[Bar]
    grid: list[GridLine]
    base_y: str
    left: str
    right: str
    limit: Limit | None


@dataclass(frozen=True, slots=True)
class Day:
    """A day's values, one for each series, and how their sum is written."""

    day: date
    values: Sequence[float]
    title: str


def draw(
    days: Sequence[Day], *, width: int, height: int, today: date, limit: tuple[float, str] | None = None
) -> Chart:
    """Draw days from left to right. Values below nothing (corrections) are drawn as nothing."""
    highest = max([sum(max(value, 0.0) for value in day.values) for day in days], default=0.0)
    step = _step(max(highest, (limit[0] if limit and limit[0] < 3 * highest else 0.0)))
    top_value, base = step * GRID_LINES, height - BOTTOM
    room = base - TOP
    slot = (width - LEFT - RIGHT) / max(len(days), 1)
    bar_width = slot * 0.66
    every = max(1, math.ceil(28 / slot)) if days else 1

    def at(value: float) -> float:
        return base - value / top_value * room

    bars = []
    for index, day in enumerate(days):
        x, bottom, parts = LEFT + index * slot + (slot - bar_width) / 2, base, []
        for number, value in enumerate(day.values, 1):
            tall = max(value, 0.0) / top_value * room
            if tall > 0:
                bottom -= tall
                parts.append(Part(number, f"{bottom:.1f}", f"{max(tall - 0.8, 0.6):.1f}"))
        is_first = index == 0 or day.day.day == 1
        label = date_format(day.day, "j M") if is_first else str(day.day.day)
        bars.append(
            Bar(
                x=f"{x:.1f}",
                width=f"{bar_width:.1f}",
                middle=f"{x + bar_width / 2:.1f}",
                label=label if index % every == 0 else "",
                title=f"{date_format(day.day, 'j F')}: {day.title}",
                parts=parts,
                is_open=day.day == today,
            )
        )
    grid = [
        GridLine(f"{at(step * number):.1f}", f"{at(step * number) + 4:.1f}", _short(step * number))
        for number in range(GRID_LINES + 1)
    ]
    drawn = None
    if limit is not None and limit[0] <= top_value:
        drawn = Limit(f"{at(limit[0]):.1f}", f"{at(limit[0]) - 6:.1f}", limit[1])
    return Chart(width, height, bars, grid[1:], f"{base:.1f}", f"{LEFT:.0f}", f"{width - RIGHT:.0f}", drawn)


def _step(highest: float) -> float:
    """Return the distance of grid lines: 1, 2 or 5 of some power of ten."""
    if highest <= 0:
        return 1.0
    rough = highest / GRID_LINES
    power = 10.0 ** math.floor(math.log10(rough))
    return float(next(power * each for each in (1, 2, 5, 10) if power * each >= rough * (1 - 1e-9)))


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
