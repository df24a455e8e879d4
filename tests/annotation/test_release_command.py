"""`manage.py release` freezes, lists, compares, checks and lays out."""

import io
import json

import pytest
from django.core.management import CommandError, call_command

from annotation import releases
from annotation.core.release import DATASHEET
from annotation.core.release_formats import coco
from annotation.models import Face, Release
from tests.annotation.test_releases import says, some_labelled
from tests.factories import a_person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_folder(settings, tmp_path):
    settings.RELEASES_DIR = tmp_path / "releases"


def say(*words: str) -> str:
    out = io.StringIO()
    call_command("release", *words, stdout=out)
    return out.getvalue()


def test_a_release_is_frozen_with_its_filters():
    some_labelled(20)

    text = say("spring", "--attributes", "gender", "--min-size", "20", "--cap-per-age", "5", "--purpose", "To learn.")

    made = Release.objects.get()
    assert "spring: 20 faces (train 14, validation 3, test 3)" in text
    assert made.checksum in text
    assert (made.query["min_size"], made.query["cap_per_age"], made.purpose) == (20, 5, "To learn.")


def test_it_reports_as_json():
    some_labelled(4)

    told = json.loads(say("spring", "--json"))

    assert told["counts"]["faces"] == 4
    assert told["checksum"] == Release.objects.get().checksum
    assert json.loads(say("--list", "--json"))[0]["name"] == "spring"


def test_shares_seed_and_predecessor_are_told():
    some_labelled(10)
    say("a")
    say("b")

    say("c", "--shares", "0.5", "0.25", "0.25", "--seed", "7", "--predecessor", "a")

    made = Release.objects.get(name="c")
    assert made.predecessor.name == "a"
    assert made.query["shares"] == {"train": 0.5, "validation": 0.25, "test": 0.25}
    assert made.query["seed"] == 7


def test_a_preview_freezes_nothing():
    some_labelled(4)

    assert "Nothing was frozen" in say("--preview")
    assert not Release.objects.exists()


def test_parts_that_are_not_what_was_asked_for_are_told_before_and_after():
    a_person(some_labelled(6))

    assert "Warning: The test part is empty" in say("--preview")
    assert "Warning: The test part is empty" in say("one")
    assert json.loads(say("other", "--json"))["warnings"]


def test_a_part_without_a_label_of_an_attribute_is_told_before_and_after():
    some_labelled(20)
    says(Face.objects.first(), "real_age", "30")

    warned = "Warning: real_age has no labelled face in: "
    assert warned in say("--preview")
    assert warned in say("one")
    made = Release.objects.get()
    (told,) = releases.warnings_of(made)
    assert f"**{told}**" in (releases.folder_of(made) / DATASHEET).read_text()


def test_two_are_compared_and_one_is_checked():
    some_labelled(4)
    say("a")
    some_labelled(2)
    say("b")

    assert "4 kept, 2 added" in say("--diff", "a", "b")
    assert "The test only grew." in say("--diff", "a", "b")
    assert "a is whole" in say("--verify", "a")
    (releases.folder_of(Release.objects.get(name="a")) / "faces/00000.parquet").unlink()
    with pytest.raises(CommandError, match="is missing"):
        say("--verify", "a")


def test_it_is_laid_out_in_a_folder(tmp_path):
    some_labelled(4)
    say("a")

    told = json.loads(say("--export", "a", "--format", "coco", "--to", str(tmp_path / "out"), "--json"))

    assert told["files"] > 4
    assert len(list(coco.read(tmp_path / "out"))) == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Name the new release"),
        (["--list", "--preview"], "One thing at a time"),
        (["--verify", "nobody"], "There are: a"),
        (["--export", "a"], "Say where to"),
        (["--export", "a", "--to", "x", "--format", "zip"], "Known are: parquet"),
        (["--export", "a", "--to", "x", "--by", "gender"], "Only the format 'images'"),
        (["a"], "never edited"),
        (["b", "--min-confidence", "3"], "from 0 to 1"),
        (["b", "--sources", "nowhere"], "no source 'nowhere'"),
        (["b", "--shares", "1", "1", "1"], "shares of the splits"),
    ],
)
def test_what_cannot_be_done_is_said(words, said):
    some_labelled(2)
    say("a")

    with pytest.raises(CommandError, match=said):
        say(*words)
