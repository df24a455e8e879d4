"""No page has words of its own: every text of every template goes through a translation."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.template.loader import get_template

pytestmark = pytest.mark.once

FOLDER = Path(settings.BASE_DIR) / "templates"
TEMPLATES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.html"))
NAMES = {"DAGER", "SHA-256", "CSV", "Parquet"}  # what is called so in every language
READ_ALOUD = ("aria-label", "title", "placeholder", "alt", "data-none")

COMMENT = r"{#.*?#}|{% comment %}.*?{% endcomment %}"
TRANSLATED = r"{% blocktranslate.*?{% endblocktranslate %}"
TYPED = r"<(kbd|code|script)\b.*?</\1>"  # keys and commands are typed as they are
NO_TEXT = r"{% block body_class %}.*?{% endblock %}"
TAG = r'<[A-Za-z/!](?:"[^"]*"|[^">])*>'


def source(name: str) -> str:
    return re.sub(f"{COMMENT}|{TRANSLATED}|{NO_TEXT}", "", (FOLDER / name).read_text(), flags=re.S)


def has_letters(text: str) -> bool:
    return bool(re.search(r"[^\W\d_]", re.sub(r"&\w+;", "", text)))


def bare(name: str) -> list[str]:
    """What the template says without a translation: its texts, and the attributes that are read aloud or shown."""
    markup = re.sub(r"{%.*?%}|{{.*?}}", "\0", source(name), flags=re.S)
    said = re.findall(rf'(?<![\w-])(?:{"|".join(READ_ALOUD)})="([^"]*)"', markup)
    texts = re.split(rf"{TAG}|\0", re.sub(TYPED, "", markup, flags=re.S))
    return [text.strip() for text in texts + said if has_letters(text) and text.strip(" ·\n") not in NAMES]


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_loads_what_it_uses(name: str):
    get_template(name)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_has_no_text_outside_a_translation(name: str):
    assert bare(name) == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_what_a_template_says_instead_of_nothing_is_translated_too(name: str):
    assert re.findall(r"\|default(?:_if_none)?:[\"'][^\"']*[A-Za-z][^\"']*[\"']", source(name)) == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_leaves_plurals_to_the_language(name: str):
    assert "|pluralize" not in (FOLDER / name).read_text()


def test_bare_text_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tests.test_templates.FOLDER", tmp_path)
    (tmp_path / "page.html").write_text(
        '<p title="Told">{{ n }} faces{% if n %}, s{% endif %} <kbd>Esc</kbd> · 5 × 7 DAGER {% translate "well" %}</p>'
    )
    assert bare("page.html") == ["faces", ", s", "· 5 × 7 DAGER", "Told"]
