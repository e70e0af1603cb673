"""Django's admin for the long tail: staff look, nothing is changed here.

The tables grow for ever, so no page counts them, sorts by anything but an index, or asks for each
row anew. Lists show the last days unless they are asked for one conversation, one id or all.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth import admin as _accounts  # noqa: F401 - registers what is taken out below
from django.contrib.auth.models import Group, User
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from conversations import prices, rights
from conversations.models import (
    Assistant,
    Completion,
    Conversation,
    HistoryWindow,
    LedgerEntry,
    Message,
    OutboxEntry,
    PromptVersion,
    Turn,
)
from conversations.models.ids import first_id_at
from conversations.rights import Right

admin.site.unregister([User, Group])  # staff are kept where it is written down who did
admin.site.enable_nav_sidebar = False  # the tables need the room; the breadcrumbs lead back
EXCERPT_CHARS = 80
MOST_PAGES = 100  # OFFSET reads what it passes over; older rows are found by conversation or id
DAYS = {"1": _("Past day"), "30": _("Past 30 days"), "all": _("All")}
DEFAULT_DAYS = 7

if TYPE_CHECKING:
    _Paginator = Paginator[Any]
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _Paginator, _ModelAdmin = Paginator, admin.ModelAdmin


class UncountedPaginator(_Paginator):
    """Counts no further than the last page it would show."""

    @cached_property
    def count(self) -> int:
        """The number of rows, or MOST_PAGES pages of them when there are more."""
        rows: Any = self.object_list
        return int(rows.order_by()[: self.per_page * MOST_PAGES].count())


class RecentFilter(admin.SimpleListFilter):
    """Keeps a list to the last days, by the time that stands in its ids."""

    title = _("period")
    parameter_name = "days"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the choices besides the default, which Django calls “All”."""
        return list(DAYS.items())

    def choices(self, changelist: Any) -> Any:
        """Call the default by its name."""
        for index, choice in enumerate(super().choices(changelist)):
            yield {**choice, "display": _("Past 7 days")} if index == 0 else choice

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Leave out what is older, unless one conversation, turn or id is asked for."""
        is_asked_for = "q" in request.GET or any(name.endswith("__id__exact") for name in request.GET)
        if self.value() == "all" or is_asked_for:
            return queryset
        value = self.value()
        days = int(value) if value in DAYS else DEFAULT_DAYS
        return queryset.filter(pk__gte=first_id_at(timezone.now() - timedelta(days=days)))


class ReadOnlyAdmin(_ModelAdmin):
    """A table that is looked at. `found_by` are the columns in which an id may be searched for."""

    found_by: tuple[str, ...] = ("pk",)
    paginator = UncountedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 0
    ordering = ("-pk",)
    sortable_by = ()
    search_fields = ("pk",)  # shows the field; get_search_results does the search
    search_help_text = _("A whole id: its own, or that of what it belongs to.")
    actions = None

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Show the tables to those who may read them."""
        return rights.may(request.user, Right.READ_RECORDS)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Show the rows to those who may read them."""
        return rights.may(request.user, Right.READ_RECORDS)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is written here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is written here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is written here."""
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find rows by a whole id; Django's own search would read the whole table."""
        term = search_term.strip()
        if not term:
            return queryset, False
        wanted = Q()
        for column in self.found_by:
            wanted |= Q(**{column: term})
        return queryset.filter(wanted), False


def _is_list(request: HttpRequest) -> bool:
    match = request.resolver_match
    return match is not None and str(match.url_name).endswith("_changelist")


def _link(model: type[Model], pk: object) -> SafeString | str:
    """Link to a row by its id alone: no row is fetched for it."""
    if not pk:
        return ""
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[pk])
    return format_html('<a href="{}">{}</a>', address, pk)


def _rows_of(model: type[Model], column: str, pk: object, words: object) -> SafeString:
    """Link to the list of rows that belong to one."""
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return format_html('<a href="{}?{}__id__exact={}">{}</a>', address, column, pk, words)


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin):
    """Conversations, newest first."""

    found_by = ("pk", "visitor_id")
    list_display = ("id", "title", "assistant", "status", "last_position", "last_message_at", "records")
    list_filter = (RecentFilter, "status", "assistant")
    list_select_related = ("assistant",)
    readonly_fields = ("records",)

    @admin.display(description=_("Records"))
    def records(self, row: Conversation) -> SafeString:
        """Link to what belongs to the conversation."""
        return format_html(
            "{} · {}",
            _rows_of(Message, "conversation", row.pk, _("Messages")),
            _rows_of(Turn, "conversation", row.pk, _("Turns")),
        )


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    """Messages, newest first, each with its beginning."""

    found_by = ("pk", "conversation_id", "turn_id")
    list_display = (
        "id", "role", "excerpt", "status", "rating", "position", "created_at", "conversation_link",
    )  # fmt: skip
    list_filter = (RecentFilter, "role", "status")
    list_select_related = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        """Leave the texts of a list in the database but for their beginnings."""
        rows: QuerySet[Message] = super().get_queryset(request)
        if not _is_list(request):
            return rows
        return rows.annotate(beginning=Left("text", EXCERPT_CHARS)).defer("text")

    @admin.display(description=_("Conversation"))
    def conversation_link(self, row: Message) -> SafeString | str:
        """Link to the conversation."""
        return _link(Conversation, row.conversation_id)

    @admin.display(description=_("Text"))
    def excerpt(self, row: Any) -> str:
        """Show the beginning of the text on one line."""
        return " ".join(row.beginning.split()) + ("…" if len(row.beginning) == EXCERPT_CHARS else "")


@admin.register(Turn)
class TurnAdmin(ReadOnlyAdmin):
    """Turns, newest first."""

    found_by = ("pk", "conversation_id", "message_id")
    list_display = (
        "id", "conversation_link", "status", "error", "version_number", "first_delta_ms", "created_at",
        "finished_at", "records",
    )  # fmt: skip
    list_filter = (RecentFilter, "status")
    list_select_related = ("version",)
    readonly_fields = ("records",)

    @admin.display(description=_("Conversation"))
    def conversation_link(self, row: Turn) -> SafeString | str:
        """Link to the conversation."""
        return _link(Conversation, row.conversation_id)

    @admin.display(description=_("Prompt"))
    def version_number(self, row: Turn) -> str:
        """Show which prompt version answered."""
        return f"v{row.version.number}"

    @admin.display(description=_("Records"))
    def records(self, row: Turn) -> SafeString:
        """Link to the turn's whole story, and to its attempts."""
        story = format_html('<a href="{}">{}</a>', reverse("turn", args=[row.pk]), _("Story"))
        return format_html("{} · {}", story, _rows_of(Completion, "turn", row.pk, _("Attempts")))


@admin.register(Completion)
class CompletionAdmin(ReadOnlyAdmin):
    """Attempts at models, newest first."""

    found_by = ("pk", "turn_id")
    list_display = (
        "id", "turn_link", "number", "target", "model", "status", "error", "input_tokens", "output_tokens",
        "usage_kind", "first_delta_ms", "total_ms", "started_at", "window_link", "lines",
    )  # fmt: skip
    list_filter = (RecentFilter, "status")
    list_select_related = False
    readonly_fields = ("window_link", "lines")

    @admin.display(description=_("Turn"))
    def turn_link(self, row: Completion) -> SafeString | str:
        """Link to the turn."""
        return _link(Turn, row.turn_id)

    @admin.display(description=_("Window"))
    def window_link(self, row: Completion) -> SafeString:
        """Link to what the model was shown: the window has its completion's id."""
        address = reverse("admin:conversations_historywindow_change", args=[row.pk])
        return format_html('<a href="{}">{}</a>', address, _("Window"))

    @admin.display(description=_("Ledger"))
    def lines(self, row: Completion) -> SafeString:
        """Link to what it cost."""
        return _rows_of(LedgerEntry, "completion", row.pk, _("Lines"))


@admin.register(HistoryWindow)
class HistoryWindowAdmin(ReadOnlyAdmin):
    """What each attempt showed the model; `manage.py window` prints a request whole."""

    list_display = ("pk", "completion_link", "input_tokens", "is_exact", "limit_tokens")
    list_filter = (RecentFilter,)
    list_select_related = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[HistoryWindow]:
        """Leave the long columns of a list in the database."""
        rows: QuerySet[HistoryWindow] = super().get_queryset(request)
        return rows.defer("system", "sent", "dropped", "parameters") if _is_list(request) else rows

    @admin.display(description=_("Attempt"))
    def completion_link(self, row: HistoryWindow) -> SafeString | str:
        """Link to the attempt."""
        return _link(Completion, row.pk)


@admin.register(Assistant)
class AssistantAdmin(ReadOnlyAdmin):
    """Assistants."""

    found_by = ("slug",)
    list_display = ("slug", "name", "house", "is_default", "live_version")
    list_select_related = ("live_version",)


@admin.register(PromptVersion)
class PromptVersionAdmin(ReadOnlyAdmin):
    """Prompt versions, which never change."""

    found_by = ("assistant__slug",)
    list_display = ("__str__", "assistant", "number", "route", "note", "created_at")
    list_filter = ("assistant",)
    list_select_related = ("assistant",)


class DoneFilter(admin.SimpleListFilter):
    """Tasks that wait, or those that are done."""

    title = _("state")
    parameter_name = "done"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the choices."""
        return [("no", _("Waits")), ("yes", _("Done"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[OutboxEntry]) -> QuerySet[OutboxEntry]:
        """Keep those that wait, or the others."""
        return queryset if self.value() is None else queryset.filter(done_at__isnull=self.value() == "no")


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    """Lines of the ledger, newest first; the console adds them up."""

    found_by = ("completion_id", "completion__turn_id")
    list_display = (
        "id", "at", "kind", "number", "amount", "counts", "reason", "input_tokens", "output_tokens", "model",
        "purpose", "completion_link",
    )  # fmt: skip
    list_filter = ("kind", "purpose")
    list_select_related = False

    @admin.display(description=_("Cost"))
    def amount(self, row: LedgerEntry) -> str:
        """Show the amount exactly."""
        return "" if row.amount_nanos is None else f"{prices.words(row.amount_nanos)} {row.currency}"

    @admin.display(description=_("Attempt"))
    def completion_link(self, row: LedgerEntry) -> SafeString | str:
        """Link to the attempt."""
        return _link(Completion, row.completion_id)


@admin.register(OutboxEntry)
class OutboxEntryAdmin(ReadOnlyAdmin):
    """Tasks that follow turns; those done are forgotten after a day."""

    found_by = ("key",)
    list_display = ("task", "key", "created_at", "sent_at", "attempts", "done_at")
    list_filter = (DoneFilter,)
