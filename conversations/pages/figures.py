"""Today's figures, each with the line of its last hours, from the hourly counters."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from conversations import counters
from conversations.models import HourlyCounter
from conversations.pages import numbers

HOURS = 12
WIDTH, HEIGHT, EDGE = 72, 28, 3  # as .spark in console.css


@dataclass(frozen=True, slots=True)
class Sparkline:
    """SVG paths in a box of WIDTH x HEIGHT: the line, the area under it, and its last point."""

    line: str
    area: str
    x: str
    y: str


@dataclass(frozen=True, slots=True)
class Change:
    """What stands under a figure; `lead` is its bold beginning, which `is_worse` colours."""

    text: str
    lead: str = ""
    is_worse: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the strip. `value` is None when there is nothing to tell it from."""

    label: str
    value: str | None
    change: Change
    spark: Sparkline | None


def figures(rows: Sequence[HourlyCounter], now: datetime) -> list[Figure]:
    """Return today's five figures. `rows` hold today, the hours before, and this day a week ago."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    total = counters.total(row for row in rows if row.hour >= today)
    hours = [
        counters.total(row for row in rows if row.hour == hour)
        for hour in (counters.hour_of(now) - timedelta(hours=back) for back in range(HOURS - 1, -1, -1))
    ]
    counts, turns = total.counts, total.counts["turns"]
    p50 = counters.quantile_ms(total.first_delta_buckets, 0.5)
    p95 = counters.quantile_ms(total.first_delta_buckets, 0.95)
    unknown = counts["unknown_usage"]
    tokens = counts["input_tokens"] + counts["output_tokens"]
    return [
        Figure(
            _("Conversations"),
            numbers.count(counts["conversations"]),
            _against_last_week(rows, today, now),
            sparkline([float(hour.counts["conversations"]) for hour in hours]),
        ),
        Figure(
            _("Turns"),
            numbers.count(turns),
            Change(
                ngettext("%(number)s attempt at a model", "%(number)s attempts at models", counts["attempts"])
                % {"number": numbers.count(counts["attempts"])}
            ),
            sparkline([float(hour.counts["turns"]) for hour in hours]),
        ),
        Figure(
            _("Answered"),
            numbers.percent(counts["completed"] / turns) if turns else None,
            Change(_endings(counts)),
            sparkline([_share(hour) for hour in hours]),
        ),
        Figure(
            _("First word, p50"),
            None if p50 is None else numbers.seconds(p50),
            Change("" if p95 is None else _("p95 %(time)s") % {"time": numbers.seconds(p95)}),
            sparkline([counters.quantile_ms(hour.first_delta_buckets, 0.5) for hour in hours]),
        ),
        Figure(
            _("Tokens"),
            numbers.short_count(tokens),
            Change(
                ngettext("unknown for %(number)s attempt", "unknown for %(number)s attempts", unknown)
                % {"number": numbers.count(unknown)}
                if unknown
                else _("%(input)s read, %(output)s written")
                % {
                    "input": numbers.short_count(counts["input_tokens"]),
                    "output": numbers.short_count(counts["output_tokens"]),
                }
            ),
            sparkline([float(hour.counts["input_tokens"] + hour.counts["output_tokens"]) for hour in hours]),
        ),
    ]


def sparkline(values: Sequence[float | None]) -> Sparkline | None:
    """Draw values from left to right; an hour without one is passed over. None for fewer than two."""
    known = [(index, value) for index, value in enumerate(values) if value is not None]
    if len(known) < 2 or not any(value for _index, value in known):
        return None
    low, high = min(value for _index, value in known), max(value for _index, value in known)
    span = (high - low) or 1

    def point(index: int, value: float) -> str:
        y = HEIGHT - EDGE - (value - low) / span * (HEIGHT - 2 * EDGE)
        return f"{index / (len(values) - 1) * WIDTH:.1f} {y:.1f}"

    points = [point(index, value) for index, value in known]
    line = "M" + " L".join(points)
    first_x, (last_x, last_y) = points[0].split()[0], points[-1].split()
    return Sparkline(line, f"{line} L{last_x} {HEIGHT} L{first_x} {HEIGHT} Z", last_x, last_y)


def _share(hour: counters.Tally) -> float | None:
    turns = hour.counts["turns"]
    return hour.counts["completed"] / turns if turns else None


def _endings(counts: "dict[str, int]") -> str:
    """Say how the turns ended that were not answered."""
    cut_or_failed = counts["failed"] + counts["interrupted"]
    parts = [
        (counts["stopped"], ngettext("%(number)s stopped", "%(number)s stopped", counts["stopped"])),
        (
            cut_or_failed,
            ngettext("%(number)s failed or cut off", "%(number)s failed or cut off", cut_or_failed),
        ),
        (counts["blocked"], ngettext("%(number)s blocked", "%(number)s blocked", counts["blocked"])),
    ]
    said = [text % {"number": numbers.count(number)} for number, text in parts if number]
    return _(", ").join(said) if said else _("none stopped, none failed")


def _against_last_week(rows: Iterable[HourlyCounter], today: datetime, now: datetime) -> Change:
    """Compare the whole hours of today with those of this weekday last week."""
    week, until = timedelta(days=7), counters.hour_of(now)
    here = before = 0
    for row in rows:
        if today <= row.hour < until:
            here += row.conversations
        elif today <= row.hour + week < until:
            before += row.conversations
    if not before:
        return Change(_("since 00:00 UTC"))
    change = (here - before) / before
    sign = "+" if change >= 0 else "−"
    return Change(
        _("against last %(weekday)s") % {"weekday": date_format(today, "l")},
        lead=f"{sign}{numbers.percent(abs(change))}",
        is_worse=change < 0,
    )
