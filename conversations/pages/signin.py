"""The staff's sign-in: a name, a password, and a bounded number of tries."""

import math
from typing import Any

from asgiref.sync import async_to_sync
from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, LogoutView
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from chatbot.addresses import limit_key
from chatbot.state import State
from conversations import audit
from conversations.audit import Kind, Verb

TRIES, WINDOW_S = 5, 15 * 60  # for one name from one address
TRIES_OF_ADDRESS = 30  # so that trying many names is no way around
TOLD_OF_ADDRESS = 5  # lock-outs in the audit; whoever tries on and on does not fill it


class SignInForm(AuthenticationForm):
    """Checks a name and password. Wrong tries count; a right one forgets them."""

    error_messages = {
        "invalid_login": _("Name or password is wrong."),
        "inactive": _("This account is closed."),
    }

    def clean(self) -> dict[str, Any]:
        """Refuse before the password is looked at when there were too many tries."""
        name = (self.cleaned_data.get("username") or "").casefold()
        address = limit_key(self.request.META.get("REMOTE_ADDR", "")) if self.request else ""
        keys = [f"sign-in:{address}:{name}", f"sign-in:{address}"]
        wait_s = _take(keys, [TRIES, TRIES_OF_ADDRESS])
        if wait_s:
            told = [f"sign-in-told:{address}:{name}", f"sign-in-told:{address}"]
            if _take(told, [1, TOLD_OF_ADDRESS]) == 0:
                _note_lock_out(name)
            minutes = math.ceil(wait_s / 60)
            raise forms.ValidationError(
                ngettext(
                    "Too many tries. You can try again in %(number)d minute.",
                    "Too many tries. You can try again in %(number)d minutes.",
                    minutes,
                )
                % {"number": minutes},
                code="too_many",
            )
        cleaned: dict[str, Any] = super().clean()
        _give_back([keys[0]] * TRIES + keys[1:])
        return cleaned


class SignInView(LoginView):
    """The sign-in page."""

    authentication_form = SignInForm

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Sign in, and write it down."""
        user = form.get_user()
        with transaction.atomic():
            answer = super().form_valid(form)
            name = user.get_username()
            audit.write(Verb.SIGNED_IN, Kind.STAFF, user.pk, by=name, label=name)
        return answer


class SignOutView(LogoutView):
    """Ends a session; there is no page."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Sign out, and write it down."""
        with transaction.atomic():
            if request.user.is_authenticated:
                name = request.user.get_username()
                audit.write(Verb.SIGNED_OUT, Kind.STAFF, request.user.pk, by=name, label=name)
            return super().post(request, *args, **kwargs)


def _note_lock_out(name: str) -> None:
    """Write down whose name was tried; one that nobody has may be a password in the wrong field."""
    with transaction.atomic():
        known = User.objects.filter(username__iexact=name).first()
        label = known.username if known else ""
        audit.write(Verb.LOCKED_OUT, Kind.STAFF, known.pk if known else "", by="", label=label)


@async_to_sync
async def _take(keys: list[str], limits: list[int]) -> float | None:
    """Count a try; return the seconds to wait if there were too many, None when Redis is away."""
    state = State(settings.REDIS_URL)
    try:
        return await state.take(keys, limits, window_s=WINDOW_S)
    finally:
        await state.aclose()


@async_to_sync
async def _give_back(keys: list[str]) -> None:
    state = State(settings.REDIS_URL)
    try:
        await state.give_back(keys)
    finally:
        await state.aclose()
