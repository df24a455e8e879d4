"""What came along with a photo becomes lines of the ledger, once its face is known."""

import csv
import json
from datetime import date
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from annotation import faces, intake, records
from annotation.models import AttributeLabel, Decision, Identity, Label, Photo, Refusal, User, Vote
from tests.factories import a_face, a_photo, a_source
from tests.inference.core.drawn_face import drawn_face

pytestmark = pytest.mark.django_db


def a_set(folder: Path, rows: dict[str, dict[str, str]]) -> Path:
    """A CSV of one's own with a drawn face for each row."""
    folder.mkdir(exist_ok=True)
    for number, file in enumerate(rows):
        if not (folder / file).exists():
            picture = drawn_face()
            picture[0, 0] = number  # no two files have the same bytes
            Image.fromarray(picture).save(folder / file)
    with (folder / "labels.csv").open("w", newline="") as stream:
        table = csv.DictWriter(stream, ["file", "identity", "age", "gender", "emotion"])
        table.writeheader()
        table.writerows({"file": file} | row for file, row in rows.items())
    return folder


def imported(folder: Path, **options: str) -> dict[str, object]:
    told = StringIO()
    call_command("import_labelled", str(folder), layout="csv", json=True, stdout=told, **options)
    return json.loads(told.getvalue())


def labels_of(file: str) -> dict[str, str]:
    return dict(AttributeLabel.objects.filter(face__photo__file=file).values_list("attribute", "value"))


def test_a_set_becomes_labels_that_say_where_they_are_from(tmp_path: Path):
    rows = {
        "a.png": {"identity": "Ada", "age": "30", "gender": "female", "emotion": "happy"},
        "b.png": {"identity": "Ada", "gender": "female"},
        "c.png": {"identity": "Bo", "age": "4.5"},
    }

    report = imported(a_set(tmp_path / "mine", rows), licence="CC0", legal_basis="drawn")

    assert report["photos"] == 3
    assert report["identities"] == 3
    assert report["attributes"] == {"emotion": 1, "gender": 2, "real_age": 2}
    assert labels_of("a.png") == {"real_age": "30.50", "gender": "female", "emotion": "happy"}
    assert {label.identity.name for label in Label.objects.all() if label.identity} == {"Ada", "Bo"}
    assert Identity.objects.count() == 2
    assert set(Decision.objects.values_list("by", flat=True)) == {"import"}
    line = Decision.objects.get(kind="value", face__photo__file="a.png", attribute="real_age")
    assert line.evidence == {"set": "mine", "file": "a.png"}
    assert line.detail == {"low": 30, "high": 31}


def test_importing_again_adds_nothing(tmp_path: Path):
    folder = a_set(tmp_path / "mine", {"a.png": {"identity": "Ada", "gender": "female"}})
    imported(folder)
    lines = Decision.objects.count()

    report = imported(folder)

    assert Decision.objects.count() == lines
    assert report["photos"] == 1


def test_a_photo_that_was_here_before_takes_on_what_a_set_says_of_it(tmp_path: Path):
    folder = a_set(tmp_path / "mine", {"a.png": {"gender": "female"}})
    before = intake.take_upload(source=a_source(), name="x.png", data=(folder / "a.png").read_bytes(), by=None)
    faces.seek([Photo.objects.get(pk=before.photo.pk if before.photo else 0)])

    imported(folder)

    assert labels_of("x.png") == {"gender": "female"}


def test_one_picture_with_two_labels_is_refused(tmp_path: Path):
    folder = a_set(tmp_path / "mine", {"a.png": {"gender": "female"}, "b.png": {"gender": "male"}})
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes())

    report = imported(folder)

    assert report["refused"] == {"contradicts": 1}
    assert labels_of("a.png") == {"gender": "female"}
    assert "'a.png'" in Refusal.objects.get().reason

    a_set(tmp_path / "theirs", {"c.png": {"gender": "male"}})
    (tmp_path / "theirs" / "c.png").write_bytes((folder / "a.png").read_bytes())
    imported(tmp_path / "theirs")
    reason = Refusal.objects.get(file="c.png").reason  # read by who sees that source, and not the first
    assert "in another source" in reason
    assert "a.png" not in reason


def test_a_folder_of_another_layout_is_refused_before_anything_is_taken(tmp_path: Path):
    with pytest.raises(CommandError, match=r"There is no table .*labels\.csv"):
        imported(tmp_path)

    assert not Photo.objects.exists()


def test_a_line_that_cannot_be_read_is_reported_and_the_others_taken(tmp_path: Path):
    folder = a_set(tmp_path / "mine", {"a.png": {"gender": "female"}, "b.png": {"age": "old"}})

    report = imported(folder)

    assert report["refused"] == {"unread": 1}
    assert report["photos"] == 1


def test_why_files_were_refused_and_where_all_reasons_stand_is_said(tmp_path: Path):
    rows = {f"{name}.png": {"gender": "female"} for name in "abc"} | {"d.png": {"gender": "lady"}}
    folder = a_set(tmp_path / "mine", rows)
    for name in "bc":
        (folder / f"{name}.png").unlink()
    told = StringIO()

    call_command("import_labelled", str(folder), layout="csv", stdout=told)

    assert "refused: 3 unread.\n  2: There is no such picture beside the table." in told.getvalue()
    assert "  1: Its gender is 'lady'" in told.getvalue()
    assert f"the source's page Refused, /sources/{Refusal.objects.first().source_id}/refusals" in told.getvalue()


def test_of_many_reasons_the_most_frequent_are_said(tmp_path: Path):
    rows = {f"{number}.png": {"gender": f"none {number}"} for number in range(7)}
    told = StringIO()

    call_command("import_labelled", str(a_set(tmp_path / "mine", rows)), layout="csv", stdout=told)

    assert told.getvalue().count("  1: Its gender is") == 5
    assert "  2: other reasons" in told.getvalue()


def test_votes_are_kept_as_a_distribution_and_the_most_voted_is_the_value():
    votes = {"happy": 7, "neutral": 2, "cannot_tell": 1}
    photo = a_photo(imported={"identity": "", "age": None, "values": {}, "votes": {"emotion": votes}, "cropped": True})
    face = a_face(photo)

    records.write_down(photo)

    label = AttributeLabel.objects.get(face=face)
    assert (label.attribute, label.value, label.detail) == ("emotion", "happy", {"votes": votes})
    assert label.decision.by == "import"
    # The counts say nothing of who voted: no user, and so nobody's reliability, is made up from them.
    assert not User.objects.exists()
    assert not Vote.objects.exists()


@pytest.mark.parametrize(
    ("votes", "value"),
    [({"happy": 5, "sad": 5}, "cannot_tell"), ({"happy": 3, "sad": 2}, "happy"), ({}, None), ({"happy": 0}, None)],
)
def test_between_equals_nobody_can_tell(votes: dict[str, int], value: str | None):
    assert records.most_voted(votes) == value


def test_a_face_that_most_voters_call_none_is_none():
    votes = {"not_a_face": 9, "happy": 1}
    photo = a_photo(imported={"identity": "", "age": None, "values": {}, "votes": {"emotion": votes}, "cropped": True})
    face = a_face(photo)

    records.write_down(photo)

    assert Label.objects.get(face=face).verdict == "not_a_face"


def test_a_birth_year_and_a_date_give_a_real_age_with_its_uncertainty():
    photo = a_photo(
        birth_date=date(1980, 1, 1),
        birth_date_precision="year",
        taken_at=date(2010, 7, 1),
        taken_at_precision="day",
    )
    face = a_face(photo)

    records.write_down(photo)

    label = AttributeLabel.objects.get(face=face, attribute="real_age")
    assert float(label.value) == pytest.approx(30.0, abs=0.01)
    assert label.detail["high"] - label.detail["low"] == pytest.approx(1.0, abs=0.01)
    assert label.decision.by == "machine"
    assert label.decision.evidence == {"born": "1980-01-01", "taken": "2010-07-01"}


def test_a_birth_after_the_date_in_the_file_itself_is_refused(tmp_path: Path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2001:05:06 10:00:00"
    Image.fromarray(drawn_face()).save(tmp_path / "a.jpg", exif=exif)
    (tmp_path / "manifest.csv").write_text("file,birth_date\na.jpg,2011\n")
    source = a_source()
    delivery = intake.start_intake(source=source, kind="manifest", path=str(tmp_path / "manifest.csv"), by=None)

    intake.take_in(delivery.pk)

    refusal = source.refusals.get()
    assert refusal.code == "impossible_age"
    assert "Born in 2011, after the photo was taken on 2001-05-06" in refusal.reason


def test_a_small_aligned_face_is_found_and_its_place_told_in_its_own_pixels():
    small = Image.fromarray(drawn_face()[40:-40, 40:-40]).resize((64, 64))
    data = BytesIO()
    small.save(data, "PNG")
    taken = intake.take_upload(source=a_source(), name="small.png", data=data.getvalue(), by=None)
    said = {"identity": "", "age": None, "values": {"emotion": "happy"}, "votes": {}, "cropped": True}
    Photo.objects.filter(pk=taken.photo.pk if taken.photo else 0).update(imported=said)

    faces.seek(list(Photo.objects.without_faces_sought()))

    label = AttributeLabel.objects.select_related("face").get()
    middle = np.array([label.face.x + label.face.width / 2, label.face.y + label.face.height / 2])
    assert np.abs(middle - 32).max() < 12
    assert 20 < label.face.width < 64
    kept = np.array(label.face.transform) @ [*np.mean(label.face.landmarks, axis=0), 1]
    assert np.abs(kept - 192).max() < 60  # the landmarks lie in the middle of the crop of 384 px
