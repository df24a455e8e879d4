"""Every page in a language that no one speaks, in which each text stands in «brackets»: what has none cannot be
translated."""

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import chain

import pytest
from django.apps import apps
from django.conf import settings
from django.db import models
from django.test import Client
from django.urls import reverse
from django.utils import translation

from annotation.core.release_formats.formats import FORMATS
from annotation.models import User
from tests.annotation.test_views import PAGES, ids, signed_in
from tests.factories import a_user
from tests.test_templates import NAMES, READ_ALOUD, has_letters
from tests.training.test_views import a_release, a_training, an_evaluation
from training.core.benchmarks.published import PUBLISHED

__all__ = ["ids", "signed_in"]
AROUND = " ,;:.()→←…"
KEPT = models.CharField | models.TextField | models.JSONField
pytestmark = [pytest.mark.django_db, pytest.mark.once]

FILES = ("photo-file", "photo-small", "face-crop", "merge-with", "refusals-csv", "labels-csv", "labels-parquet")
FILES += ("audit-export", "erasure-report", "release-datasheet", "release-download", "practice-picture")
SHOWN = sorted(set(PAGES) - set(FILES))


@pytest.fixture
def brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translation._trans, "gettext", lambda text: f"«{text}»")
    monkeypatch.setattr(translation._trans, "ngettext", lambda one, many, n: f"«{one if n == 1 else many}»")


class Bare(HTMLParser):
    """Collects what stands outside brackets; a translated text may hold links and bold words."""

    SILENT = ("script", "style", "kbd", "code", "pre", "svg")

    def __init__(self) -> None:
        super().__init__()
        self.depth, self.silent, self.found = 0, 0, list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in self.SILENT
        for name, value in attrs:
            if name in READ_ALOUD and value:
                self.found += outside(value, 0)[0]

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in self.SILENT

    def handle_data(self, data: str) -> None:
        if not self.silent:
            texts, self.depth = outside(data, self.depth)
            self.found += texts


def outside(text: str, depth: int) -> tuple[list[str], int]:
    texts = [""]
    for letter in text:
        if letter in "«»":
            depth += 1 if letter == "«" else -1
            texts.append("")
        elif not depth:
            texts[-1] += letter
    parts = [part for each in texts for part in re.split(r" · |\n", each)]
    return [part.strip(AROUND) for part in parts if has_letters(part)], depth


def data() -> Iterator[str]:
    """All that is kept: names, files, terms; and of JSON what settings, metrics and evidence are called in it."""
    for model in apps.get_models():
        fields = [each.name for each in model._meta.fields if isinstance(each, KEPT)]
        for row in model._default_manager.values_list(*fields) if fields else ():
            for value in row:
                yield from texts_of(value)


def published() -> Iterator[str]:
    """What others published is called as they call it."""
    for each in chain.from_iterable(PUBLISHED.values()):
        yield from (each.method.strip(AROUND), each.source.strip(AROUND), *each.figures, *each.figures.values())


def texts_of(value: object) -> Iterator[str]:
    if isinstance(value, bool):
        yield str(value)
    elif isinstance(value, str):
        yield from (value, value.replace("_", " "))
    elif isinstance(value, list):
        for each in value:
            yield from texts_of(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from texts_of(key)
            yield from (f"{key}: {name}" for name in each) if isinstance(each, dict) else (f"{key} {each}",)
            yield from texts_of(each)


def bare(page: str) -> list[str]:
    parser = Bare()
    parser.feed(page)
    kept = {text.strip(AROUND) for text in data()} | NAMES | set(FORMATS) | set(published())
    return [text for text in parser.found if text not in kept]


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.usefixtures("brackets")
def test_a_page_is_ready_for_another_language(name: str, ids: dict[str, int], signed_in: Callable[[str], Client]):
    client = signed_in("admin")
    asked = [ids[name]] if name in ids else []
    response = client.get(reverse(name, args=asked), follow=True)
    assert response.status_code == 200
    assert "«" in response.content.decode()
    assert not bare(response.content.decode()), bare(response.content.decode())


@pytest.mark.usefixtures("brackets")
def test_the_pages_of_trainings_are_ready_for_another_language(client: Client):
    client.force_login(a_user("eve", User.Role.ENGINEER))
    evaluation, run = an_evaluation([]), a_training(a_release("summer"))
    pages = [reverse("model", args=[evaluation.version_id]), reverse("training", args=[run.pk])]
    pages += [reverse(name) for name in ("models", "trainings", "leader-board")]
    found = {address: bare(client.get(address).content.decode()) for address in pages}
    assert not any(found.values()), found


@pytest.mark.usefixtures("brackets")
def test_signing_in_and_errors_are_ready_for_another_language(client: Client):
    assert bare(client.get(reverse("login")).content.decode()) == []


def test_translation_is_on():
    assert settings.USE_I18N
    assert re.fullmatch(r"[a-z]{2}(-[a-z]{2})?", settings.LANGUAGE_CODE)
