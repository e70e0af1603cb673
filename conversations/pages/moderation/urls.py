"""The addresses under /console/moderation/."""

from django.urls import path

from conversations.pages.moderation import editor, lists, queue, rules

urlpatterns = [
    path("", queue.queue, name="moderation"),
    path("<int:pk>/", queue.decide, name="verdict"),
    path("<int:pk>/reopen/", queue.reopen, name="verdict-reopen"),
    path("by-rule/", queue.by_rule, name="verdicts-by-rule"),
    path("rules/", rules.rules, name="rules"),
    path("rules/new/", editor.rule, name="rule-new"),
    path("rules/<int:pk>/", editor.rule, name="rule"),
    path("rules/<int:pk>/switch/", rules.switch, name="rule-switch"),
    path("rules/list/", lists.word_list, name="rule-list"),
    path("rules/export/", rules.export, name="rules-export"),
    path("rules/history/", rules.history, name="rules-history"),
    path("rules/history/<int:pk>/", rules.change, name="rules-change"),
]
