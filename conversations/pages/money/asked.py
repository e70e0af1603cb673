"""What a page about money is asked for: a time, what it is summed by, and which lines of the ledger."""

from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import urlencode

from django.http import Http404, QueryDict
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from conversations import spending
from conversations.models import Purpose
from conversations.spending import DIMENSIONS, Choice

BY = ("model", "route", "assistant", "segment", "day")
DEFAULT_PERIOD, DEFAULT_BY = "month", "model"
_DAYS = {"7": 7, "30": 30}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`period` is `7`, `30`, `month` or a month such as `2026-10`; `end` is the day after the last."""

    period: str
    start: date
    end: date
    by: str
    where: tuple[tuple[str, str], ...]

    @property
    def choice(self) -> Choice:
        """The lines that are asked for."""
        return Choice(start=self.start, end=self.end, where=self.where)

    @property
    def days(self) -> list[date]:
        """All days of the time, in order."""
        return [self.start + timedelta(days=each) for each in range((self.end - self.start).days)]

    @property
    def words(self) -> str:
        """The time in words."""
        first, last = date_format(self.start), date_format(self.end - timedelta(days=1))
        return first if first == last else _("%(first)s to %(last)s") % {"first": first, "last": last}

    def query(self, **changed: str | None) -> str:
        """Return the address's query with something else in it; None takes a condition away."""
        said = {"period": self.period, "by": self.by, **dict(self.where), **changed}
        kept = {name: value for name, value in said.items() if value is not None}
        return f"?{urlencode(kept)}"


def read(query: QueryDict, today: date) -> Asked:
    """Read an address's query. Raises Http404 for one that no page has made."""
    period, by = query.get("period", DEFAULT_PERIOD), query.get("by", DEFAULT_BY)
    if by not in BY:
        raise Http404
    end = today + timedelta(days=1)
    if period in _DAYS:
        start = end - timedelta(days=_DAYS[period])
    elif period == "month":
        start, end = today.replace(day=1), spending.next_month(today)
    else:
        try:
            start = spending.read_month(period)
        except ValueError as error:
            raise Http404 from error
        end = spending.next_month(start)
    where = tuple((name, str(query[name])) for name in DIMENSIONS if name in query)
    if "purpose" not in query:
        where = (*where, ("purpose", Purpose.VISITOR.value))
    return Asked(period=period, start=start, end=end, by=by, where=where)
