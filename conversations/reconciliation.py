"""Comparing the ledger with what a provider says it billed.

A usage export is CSV with a head, JSON (a list, or one under `data`) or JSON lines, a call each. Its
columns are known by the names that services give them:

    request_id,created_at,model,input_tokens,output_tokens,cost
    req_1,2026-11-20T09:15:02Z,gpt-5-mini,812,96,0.000395

A call is found by its request id; where there is none, or none that fits, by its tokens and its time.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import orjson
from django.db.models import Sum

from conversations.models import Completion, EntryKind, LedgerEntry

NAMES: dict[str, tuple[str, ...]] = {
    "request_id": ("request_id", "id", "response_id", "generation_id", "x_request_id", "requestid"),
    "at": ("at", "created_at", "created", "timestamp", "time", "start_time", "date"),
    "model": ("model", "model_id", "snapshot_id", "model_permaslug"),
    "input_tokens": (
        "input_tokens", "prompt_tokens", "tokens_prompt", "n_context_tokens_total", "input", "inputtokens",
    ),
    "output_tokens": (
        "output_tokens", "completion_tokens", "tokens_completion", "n_generated_tokens_total", "output",
        "outputtokens",
    ),
}  # fmt: skip
NEAR = timedelta(seconds=120)  # between our clock and theirs, from the request to the end of the answer
MOST_EPOCH_S = 100_000_000_000  # what is larger is in milliseconds


class NotAnExportError(Exception):
    """The file is no usage export; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """A call on the provider's bill. Counts that it does not tell are None."""

    line: int
    request_id: str
    at: datetime | None
    model: str
    input_tokens: int | None
    output_tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """A call in our books, with the billed counts of its settle and corrections; None: not settled."""

    completion_id: str
    request_id: str
    at: datetime
    ended_at: datetime
    model: str
    input_tokens: int | None
    output_tokens: int | None
    counts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """`missing`: they billed what we do not know; `extra`: we booked what they did not bill;
    `tokens`: the counts differ; `estimate`: they differ, and ours say that they are estimated."""

    kind: Literal["missing", "extra", "tokens", "estimate"]
    billed: Billed | None
    booked: Booked | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """`agree` is how many calls have the same counts in both."""

    agree: int
    differences: list[Difference]


def read(content: bytes) -> list[Billed]:
    """Read a usage export. Raises NotAnExportError."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotAnExportError("The file is not UTF-8 text.") from error
    rows = list(_rows(text.strip()))
    if not rows:
        raise NotAnExportError("The file holds no call.")
    return [_billed(number, row) for number, row in enumerate(rows, 1)]


def _rows(text: str) -> Iterator[Mapping[str, Any]]:
    if not text.startswith(("{", "[")):
        yield from csv.DictReader(io.StringIO(text))
        return
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            found = [orjson.loads(line) for line in text.splitlines() if line.strip()]
        except orjson.JSONDecodeError as error:
            raise NotAnExportError("The file is neither JSON nor JSON lines.") from error
    if isinstance(found, dict):
        found = next((each for each in found.values() if isinstance(each, list)), [found])
    if not all(isinstance(each, dict) for each in found):
        raise NotAnExportError("The file is no list of calls.")
    yield from found


def _billed(number: int, row: Mapping[str, Any]) -> Billed:
    said = {_folded(key): value for key, value in row.items() if isinstance(key, str)}
    if isinstance(said.get("usage"), dict):
        said |= {_folded(key): value for key, value in said["usage"].items()}

    def find(name: str) -> Any:
        return next((said[each] for each in NAMES[name] if said.get(each) not in (None, "")), None)

    counts = {name: _count(find(name), number) for name in ("input_tokens", "output_tokens")}
    if counts["input_tokens"] is None and counts["output_tokens"] is None:
        known = ", ".join(NAMES["input_tokens"][:3])
        raise NotAnExportError(f"Call {number} tells no tokens: none of its columns is called {known} or so.")
    return Billed(
        line=number,
        request_id=str(find("request_id") or ""),
        at=_instant(find("at"), number),
        model=str(find("model") or ""),
        input_tokens=counts["input_tokens"],
        output_tokens=counts["output_tokens"],
    )


def _folded(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _count(value: Any, number: int) -> int | None:
    if value is None:
        return None
    try:
        return int(str(value).replace(",", ""))
    except ValueError as error:
        raise NotAnExportError(f"Call {number} has `{str(value)[:40]}` where a count belongs.") from error


def _instant(value: Any, number: int) -> datetime | None:
    if value is None:
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        try:
            found = datetime.fromisoformat(str(value))
        except ValueError as error:
            raise NotAnExportError(f"Call {number} has `{str(value)[:40]}` where a time belongs.") from error
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return datetime.fromtimestamp(seconds / 1000 if seconds > MOST_EPOCH_S else seconds, UTC)


def booked(*, provider: str | None, start: datetime, end: datetime) -> list[Booked]:
    """Return the calls begun from `start` to `end` (included) that our books say were made."""
    calls = Completion.objects.filter(started_at__gte=start, started_at__lte=end, entries__number=0)
    if provider is not None:
        calls = calls.filter(provider=provider)
    lines = LedgerEntry.objects.filter(
        completion__in=calls, kind__in=(EntryKind.SETTLE, EntryKind.CORRECTION)
    )
    tokens = {
        row["completion"]: (row["read"], row["written"])
        for row in lines.values("completion").annotate(read=Sum("input_tokens"), written=Sum("output_tokens"))
    }
    closed = LedgerEntry.objects.filter(completion__in=calls, number=1)
    kinds = {key: (kind, counts) for key, kind, counts in closed.values_list("completion", "kind", "counts")}
    found = []
    for row in calls.order_by("started_at", "pk"):
        kind, counts = kinds.get(row.pk, ("", "unknown"))
        if kind == EntryKind.RELEASE:
            continue
        read_tokens, written = tokens.get(row.pk, (None, None))
        found.append(
            Booked(
                completion_id=row.pk,
                request_id=row.request_id,
                at=row.started_at,
                ended_at=row.started_at + timedelta(milliseconds=row.total_ms or 0),
                model=row.model,
                input_tokens=read_tokens,
                output_tokens=written,
                counts=counts,
            )
        )
    return found


def span(bill: Iterable[Billed]) -> tuple[datetime, datetime] | None:
    """Return the time that a bill covers; None where it tells no times."""
    times = [each.at for each in bill if each.at is not None]
    return (min(times) - NEAR, max(times) + NEAR) if times else None


def compare(bill: Iterable[Billed], books: Iterable[Booked]) -> Comparison:
    """Compare call by call. A booked call before or after all those billed is no difference. Pure."""
    bill, left = list(bill), {each.completion_id: each for each in books}
    covered = span(bill)
    by_id = {each.request_id: each for each in left.values() if each.request_id}
    pairs: list[tuple[Billed, Booked]] = []
    unmatched: list[Billed] = []
    for each in bill:
        ours = by_id.pop(each.request_id, None) if each.request_id else None
        if ours is None:
            unmatched.append(each)
        else:
            pairs.append((each, left.pop(ours.completion_id)))
    for is_exact in (True, False):  # first the same counts, then the nearest in time
        unmatched = [each for each in unmatched if not _pair(each, left, pairs, is_exact=is_exact)]
    differences = [Difference(kind="missing", billed=each, booked=None) for each in unmatched]
    agree = 0
    for theirs, ours in pairs:
        if _same(theirs, ours):
            agree += 1
        else:
            is_exact = ours.counts == "exact"
            kind: Literal["tokens", "estimate"] = "tokens" if is_exact else "estimate"
            differences.append(Difference(kind=kind, billed=theirs, booked=ours))
    for ours in left.values():
        if covered is None or covered[0] + NEAR <= ours.at <= covered[1] - NEAR:
            differences.append(Difference(kind="extra", billed=None, booked=ours))
    return Comparison(agree, differences)


def _pair(
    theirs: Billed, left: dict[str, Booked], pairs: list[tuple[Billed, Booked]], *, is_exact: bool
) -> bool:
    """Find the booked call nearest in time that may be this one, and take it out of `left`."""
    if theirs.at is None:
        return False
    at = theirs.at
    near = [
        each
        for each in left.values()
        if not (each.request_id and theirs.request_id)
        and (not theirs.model or not each.model or _is_same_model(theirs.model, each.model))
        and each.at - NEAR <= at <= each.ended_at + NEAR
        and (_same(theirs, each) if is_exact else each.counts != "exact")
    ]
    if not near:
        return False
    ours = min(near, key=lambda each: (abs(each.at - at), each.completion_id))
    pairs.append((theirs, left.pop(ours.completion_id)))
    return True


def _is_same_model(theirs: str, ours: str) -> bool:
    """A bill may name the dated version of the model that was asked for."""
    return theirs.startswith(ours) or ours.startswith(theirs)


def _same(theirs: Billed, ours: Booked) -> bool:
    return theirs.input_tokens in (None, ours.input_tokens) and theirs.output_tokens in (
        None,
        ours.output_tokens,
    )


def count(differences: Iterable[Difference]) -> dict[str, int]:
    """Return how many there are of each kind."""
    found: defaultdict[str, int] = defaultdict(int)
    for each in differences:
        found[each.kind] += 1
    return dict(found)
