"""Everything is said in Chinese too, and what is compiled is what is written."""

import ast
import gettext
import re
from pathlib import Path

FOLDER = Path(__file__).parent.parent.parent / "conversations" / "locale" / "zh_Hans" / "LC_MESSAGES"
ENTRY = re.compile(
    r'^msgid (?P<one>(?:".*"\n)+)(?:msgid_plural (?:".*"\n)+)?msgstr(?:\[0\])? (?P<said>(?:".*"\n?)+)',
    re.MULTILINE,
)
HOLDER = re.compile(r"%\(\w+\)[sd]|\{\w+\}")


def written() -> dict[str, str]:
    """Return what the .po file says: English -> Chinese."""
    entries = ENTRY.finditer((FOLDER / "django.po").read_text("utf-8"))
    return {text(entry["one"]): text(entry["said"]) for entry in entries}


def text(quoted: str) -> str:
    return "".join(ast.literal_eval(line) for line in quoted.split("\n") if line)


def test_nothing_is_left_untranslated_or_unsure() -> None:
    assert [english for english, chinese in written().items() if not chinese] == []
    assert "#, fuzzy" not in (FOLDER / "django.po").read_text("utf-8")


def test_translations_keep_their_values() -> None:
    for english, chinese in written().items():
        assert set(HOLDER.findall(chinese)) == set(HOLDER.findall(english)), english


def test_the_compiled_file_is_up_to_date() -> None:
    with (FOLDER / "django.mo").open("rb") as compiled:
        translations = gettext.GNUTranslations(compiled)

    for english, chinese in written().items():
        if english:
            assert chinese in (translations.gettext(english), translations.ngettext(english, "", 1)), english
