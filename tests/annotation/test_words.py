"""The words of the desk: one place, each used, each ready for another language."""

import re
from pathlib import Path

import pytest
from django.apps import apps
from django.utils import translation

from annotation.core.practice import EXAMPLES
from annotation.core.release_formats.formats import FORMATS
from annotation.models import Question
from annotation.words import (
    CALLED,
    CHOICES,
    DESK,
    ERASED,
    EVERYWHERE,
    LIKENESS,
    LIVE,
    PRACTICE,
    TRY,
    Text,
    Texts,
    evidence,
    names,
    why_asked,
)
from inference.core.attributes import ATTRIBUTES
from tests.annotation.test_erasure import COLUMNS, GOES
from tests.factories import DISBELIEVED, a_grid, a_pair, a_question, a_single
from training.core.benchmarks.registry import BENCHMARKS
from training.core.config import PRESETS
from training.words import CHOICES as TRAINING
from training.words import RUN

SCRIPTS = Path(__file__).resolve().parents[2] / "annotation" / "static" / "annotation"


def script() -> str:
    return (SCRIPTS / "annotate.js").read_text() + (SCRIPTS / "pace.js").read_text()


def test_every_text_that_the_script_says_is_there_and_every_one_there_is_said():
    before = ("only", "both", "all", "others", "none", "hear_marked", "hear")
    built = {f"{which}_{what}" for which in before for what in ("one", "value", "right")}
    built |= {f"mark_{mark}" for mark in ("other", "wrong_date", "not_a_face", "cannot_tell")}
    said = set(re.findall(r'"(\w+)"', script())) | built

    assert set(re.findall(r'say\("(\w+)"', script())) <= set(DESK)
    assert set(DESK) - said == set()


def test_the_script_has_no_words_of_its_own():
    for line in (SCRIPTS / "annotate.js").read_text().splitlines():
        code = line.split("//")[0]
        assert not re.search(r"[\"`][A-Z][a-z]+ [a-z]+[^\"`]*[\"`]", code), line


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("annotation/static/annotation/live.js", LIVE),
        ("annotation/static/annotation/threshold.js", LIKENESS),
        ("annotation/static/annotation/try_it.js", TRY),
        ("training/static/training/run.js", RUN),
    ],
)
def test_a_script_says_what_its_page_has_words_for(path: str, words: Texts):
    script = SCRIPTS.parents[2] / path
    code = script.read_text()
    for imported in re.findall(r'from "\./(\w+\.js)"', code):
        code += (script.parent / imported).read_text()
    assert {name for name in words if f'"{name}"' not in code} == set()
    assert set(re.findall(r'say\("(\w+)"', code)) <= set(words) | set(EVERYWHERE)


def test_every_example_of_the_practice_is_explained():
    assert set(PRACTICE) == {each.name for examples in EXAMPLES.values() for each in examples}


def test_all_values_and_attributes_have_a_name_for_translators():
    assert {str(each) for each in CALLED} == set(names().values())
    assert set(names()) == {*ATTRIBUTES, *(value for each in ATTRIBUTES.values() for value in each.values)}


@pytest.mark.parametrize(("app", "words"), [("annotation", CHOICES), ("inference", CHOICES), ("training", TRAINING)])
def test_all_that_pages_choose_from_has_a_name_for_translators(app: str, words: tuple[Text, ...]):
    models = apps.get_app_config(app).get_models()
    fields = [field for model in models for field in model._meta.get_fields() if getattr(field, "choices", None)]
    assert fields
    shown = {str(text) for field in fields for _, text in field.choices}
    assert shown - {str(each) for each in (*CHOICES, *words)} == set()


def test_formats_presets_and_benchmarks_have_a_name_for_translators():
    assert {each.title for each in FORMATS.values()} <= {str(each) for each in CHOICES}
    named = {name.capitalize() for name in PRESETS} | {each.what for each in BENCHMARKS.values()}
    assert named <= {str(each) for each in TRAINING}


def test_all_that_an_erasure_counts_has_a_name():
    modules = [*(SCRIPTS.parents[1] / "erasure").glob("*.py"), SCRIPTS.parents[2] / "training" / "runs.py"]
    key = r'(?:rows|extra)\["([^"]+)"\]|"([^"]+ \(shortened\)|kept crops[^"]*|uploaded[^"]*)":'
    said = [each for path in modules for each in re.findall(key, path.read_text())]
    counted = {each for found in said for each in found if each}
    goes = {column.rsplit(".", 1)[0] for column, what in COLUMNS.items() if what == GOES}
    assert "galleries" in counted
    assert (counted | goes) - set(ERASED) == set()


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["value", "grid"])
def test_why_something_is_asked_does_not_tell_what_chance_picked_or_is_known_already(kind: str):
    made = {"value": a_single, "grid": lambda **fields: a_grid([], **fields)}[kind]
    purposes = ("work", "control", "audit", "again", "gold", "wanted")
    assert len({why_asked(made(purpose=purpose), curates=False) for purpose in purposes}) == 1


@pytest.mark.django_db
def test_why_something_is_asked_is_said_of_every_kind():
    questions = [a_question(1), a_pair(), a_grid([]), a_single(), a_single(attribute="apparent_age"),
                 Question(kind="record", attribute="real_age"), a_single(purpose="verdict")]  # fmt: skip
    assert len({why_asked(question, curates=False) for question in questions}) == len(questions)


def test_what_a_line_of_the_ledger_rests_on_is_told_in_words():
    of_answer = {"act": "answer", "question": 198, "kind": "grid", "belief": 0.9426, "votes": 1, "machine": [0.1, 0.9]}
    assert evidence(of_answer | {"face": 32}) == ["question 198", "1 vote", "believed to 94%"]
    of_machine = {"certificate": 3, "confidence": 0.99, "face": 32}
    assert evidence(of_machine) == ["certificate 3", "confidence 99%"]
    assert evidence({"set": "fgnet", "file": "001A02.JPG"}) == ["written in fgnet, 001A02.JPG"]
    assert evidence({"born": "1960-01-02", "taken": "1999"}) == ["born 1960-01-02", "taken 1999"]


@pytest.mark.django_db
@pytest.mark.parametrize("purpose", ["doubt", "wanted", "again"])
def test_what_others_said_of_a_doubted_label_is_told_to_curators_alone(purpose: str):
    doubted = a_single(purpose=purpose, reason=DISBELIEVED)  # wanted, once a curator opened it again
    told = "Labelled sad by 1 answer. The models, which have not seen that, say happy (93%)."
    assert why_asked(doubted, curates=True) == told
    told = why_asked(doubted, curates=False)
    assert "sad" not in told
    assert "happy" not in told


def test_another_language_reaches_the_desk(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(translation._trans, "gettext", lambda text: f"«{text}»")
    assert str(DESK["nothing"]) == "«Nothing to answer»"
    assert names()["happy"] == "«happy»"
