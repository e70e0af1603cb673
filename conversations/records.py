"""The site of Django's admin: for those who may read the tables."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from conversations import audit, rights
from conversations.audit import Kind, Verb
from conversations.rights import Right

View = TypeVar("View", bound=Callable[..., Any])


class RecordsSite(AdminSite):
    """Lets nobody else in, and tells staff so; others are sent to the sign-in page."""

    def has_permission(self, request: HttpRequest) -> bool:
        """Say whether this is one of those who may."""
        return rights.may(request.user, Right.READ_RECORDS)

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        """Guard a page."""
        guarded = super().admin_view(view, cacheable)

        @wraps(guarded)
        def told(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.user.is_active and request.user.is_staff and not self.has_permission(request):
                raise PermissionDenied
            return cast(HttpResponse, guarded(request, *args, **kwargs))

        return cast(View, told)

    def password_change(  # type: ignore[override]  # it redirects, too
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Let somebody change their own password, and write it down."""
        with transaction.atomic():
            answer = super().password_change(request, extra_context)
            if answer.status_code == 302:
                name = request.user.get_username()
                audit.write(Verb.CHANGED_PASSWORD, Kind.STAFF, request.user.pk, by=name, label=name)
        return answer
