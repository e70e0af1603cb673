"""The staff's pages."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from conversations import rights, verdicts
from conversations.pages import numbers, overview
from conversations.rights import Right

P = ParamSpec("P")


class StaffRequest(HttpRequest):
    """A request of a signed-in member of the staff."""

    user: User
    htmx: HtmxDetails


def staff_only(
    view: Callable[Concatenate[StaffRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Send visitors to the sign-in page, and tell those who are signed in but no staff."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            is_partial = bool(getattr(request, "htmx", False))
            back = reverse("console") if is_partial else request.get_full_path()
            address = f"{settings.LOGIN_URL}?{urlencode({'next': back})}"
            return HttpResponseClientRedirect(address) if is_partial else redirect(address)
        if not request.user.is_staff:
            raise PermissionDenied
        return view(request, *args, **kwargs)  # type: ignore[arg-type]

    return guarded


@require_safe
@staff_only
def front(request: StaffRequest) -> HttpResponse:
    """Show the front page, or, when htmx asks for it again, what may have changed."""
    template = "console/_overview.html" if request.htmx else "console/overview.html"
    waiting = verdicts.count_open() if rights.may(request.user, Right.READ_VERDICTS) else 0
    shown = overview.read(open_verdicts=waiting)
    return render(request, template, {"overview": shown, **shell(request, open_verdicts=waiting)})


def shell(request: StaffRequest, *, open_verdicts: int | None = None) -> dict[str, object]:
    """Return what every page of the console shows around its content.

    `open_verdicts` is how many there are, where the page knows that already.
    """
    may_read_verdicts = rights.may(request.user, Right.READ_VERDICTS)
    waiting = open_verdicts or 0
    if open_verdicts is None and may_read_verdicts:
        waiting = verdicts.count_open()
    name = request.user.get_full_name() or request.user.get_username()
    words = name.split()
    initials = "".join(word[0] for word in (words[0], *words[-1:])) if len(words) > 1 else name[:2]
    current = get_language()
    return {
        "person": {
            "name": name,
            "initials": initials.upper(),
            "address": request.user.email,
            "open_verdicts": numbers.at_most(waiting, verdicts.MOST_COUNTED) if waiting else "",
            "may_read_verdicts": may_read_verdicts,
            "may_read_money": rights.may(request.user, Right.READ_MONEY),
            "may_read_records": rights.may(request.user, Right.READ_RECORDS),
            "may_read_audit": rights.may(request.user, Right.READ_AUDIT),
        },
        "languages": [
            {"code": code, "name": shown, "is_current": code == current}
            for code, shown in (("en", "English"), ("zh-hans", "简体中文"))
        ],
    }
