"""The forms for a rule and for a list of words; each mistake is one sentence at its field."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_lazy as _

from conversations import rulebook, wordlists
from conversations.models import ScreeningRule
from conversations.moderation.rules import Rule, RuleError
from conversations.pages.moderation import words

LIST_CHARS = 80
_UNNAMED = "…"  # a rule that is tried before it has a name


def _choices(said: words.Words) -> list[tuple[str, Any]]:
    return list(said.items())


class RuleForm(forms.Form):
    """One rule. `rule` is what it says, once it `is_valid`; `row` is the rule that is edited, or None."""

    name = forms.CharField(max_length=rulebook.NAME_CHARS)
    word_list = forms.CharField(max_length=LIST_CHARS, required=False)
    kind = forms.ChoiceField(choices=lambda: _choices(words.KINDS))
    pattern = forms.CharField(max_length=rulebook.PATTERN_CHARS, required=False)
    detector = forms.ChoiceField(choices=lambda: _choices(words.DETECTORS), required=False)
    action = forms.ChoiceField(choices=lambda: _choices(words.ACTIONS))
    stages = forms.MultipleChoiceField(
        choices=lambda: _choices(words.STAGES),
        error_messages={"required": _("Choose at least one place, or the rule would never be asked.")},
    )
    boundary = forms.ChoiceField(choices=lambda: _choices(words.BOUNDARIES), required=False)
    spaced = forms.BooleanField(required=False)
    exceptions = forms.CharField(required=False)

    rule: Rule | None = None

    def __init__(self, data: Mapping[str, Any] | None = None, *, row: ScreeningRule | None = None) -> None:
        super().__init__(data, initial=_initial(row))
        self.row = row
        if row is not None:
            self.fields["name"].required = False

    def clean_name(self) -> str:
        """Keep the name of a rule that is edited; refuse that of another."""
        if self.row is not None:
            return self.row.name
        name: str = self.cleaned_data["name"]
        if rulebook.kept([name]):
            raise forms.ValidationError(_("There is already a rule of this name."))
        return name

    def clean_exceptions(self) -> list[str]:
        """Return one exception a line."""
        return list(
            dict.fromkeys(
                line.strip() for line in self.cleaned_data["exceptions"].splitlines() if line.strip()
            )
        )

    def clean(self) -> None:
        """Check the rule as screening does: its text first, then each exception."""
        said = self.cleaned_data
        if not {"kind", "action", "stages"} <= said.keys():
            return
        field = "detector" if said["kind"] == "detector" else "pattern"
        rule = Rule(
            id=said.get("name", _UNNAMED),
            kind=said["kind"],
            pattern=said.get(field, ""),
            action=said["action"],
            stages=frozenset(said["stages"]),
            boundary=said.get("boundary") or "word",
            spaced=said["spaced"],
        )
        try:
            rulebook.check(rule)
        except RuleError as error:
            self.add_error(field, str(error))
            return
        self._check_exceptions(rule, said.get("exceptions", []))

    def _check_exceptions(self, rule: Rule, exceptions: list[str]) -> None:
        for text in exceptions:
            try:
                rulebook.check(replace(rule, exceptions=(text,)))
            except RuleError as error:
                self.add_error("exceptions", str(error))
                return
        whole = replace(rule, exceptions=tuple(exceptions))
        try:
            rulebook.check(whole)
        except RuleError as error:
            self.add_error("exceptions", str(error))
            return
        self.rule = whole

    @property
    def candidate(self) -> Rule | None:
        """Return the rule as it could be tried, also while it has no name."""
        self.is_valid()
        return self.rule


def _initial(row: ScreeningRule | None) -> dict[str, Any]:
    if row is None:
        return {
            "kind": "word",
            "action": "block",
            "stages": list(words.STAGES),
            "boundary": "word",
            "spaced": True,
        }
    rule = rulebook.as_rule(row)
    return {
        "name": row.name,
        "word_list": row.word_list,
        "kind": rule.kind,
        "pattern": "" if rule.kind == "detector" else rule.pattern,
        "detector": rule.pattern if rule.kind == "detector" else "",
        "action": rule.action,
        "stages": sorted(rule.stages),
        "boundary": rule.boundary,
        "spaced": rule.spaced,
        "exceptions": "\n".join(rule.exceptions),
    }


class ListForm(forms.Form):
    """A list of words, pasted or uploaded. `listed` is what it says, once it `is_valid`."""

    word_list = forms.CharField(max_length=LIST_CHARS)
    text = forms.CharField(required=False, strip=False, max_length=wordlists.MAX_BYTES)
    file = forms.FileField(required=False, allow_empty_file=True)
    is_table = forms.BooleanField(required=False)
    action = forms.ChoiceField(choices=lambda: _choices(words.ACTIONS))
    stages = forms.MultipleChoiceField(
        choices=lambda: _choices(words.STAGES),
        error_messages={"required": _("Choose at least one place, or the rules would never be asked.")},
    )
    spaced = forms.BooleanField(required=False)
    replaces = forms.BooleanField(required=False)
    seen = forms.IntegerField(required=False)

    listed: wordlists.WordList | None = None

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        files: "MultiValueDict[str, UploadedFile[Any]] | None" = None,
        *,
        initial: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data, files, initial=initial or {"action": "block", "stages": list(words.STAGES)})

    def clean(self) -> None:
        """Read the list, from the file if there is one."""
        said = self.cleaned_data
        file = said.get("file")
        if file:
            try:
                said["text"] = wordlists.decode(file.read(wordlists.MAX_BYTES + 1))
            except wordlists.UnreadableListError as error:
                self.add_error("file", str(error))
                return
            said["is_table"] = (file.name or "").lower().endswith(".csv")
        if not said.get("text", "").strip():
            self.add_error("text", _("Paste the terms, one a line, or choose a file."))
            return
        if not {"word_list", "action", "stages"} <= said.keys():
            return
        self.listed = wordlists.read(
            said["text"].replace("\0", ""),
            name=said["word_list"],
            action=said["action"],
            stages=frozenset(said["stages"]),
            spaced=said["spaced"],
            is_table=said["is_table"],
        )
        if not self.listed.rules:
            self.add_error("text", _("No line of the list can be used."))
