import csv
import io
import json
from uuid import uuid4

import pyarrow.parquet as pq
import pytest

from annotation import export, ledger
from annotation.answers import record_answer
from annotation.errors import RightsNotStated
from annotation.models import Decision, Label
from tests.factories import a_face, a_photo, a_question, a_source, an_annotator

pytestmark = pytest.mark.django_db


def labelled(**rights: str) -> Label:
    face = a_face(a_photo(a_source(**rights)))
    record_answer(
        question_id=a_question([face]).pk,
        annotator=an_annotator(),
        client_id=uuid4(),
        content={"verdict": "one_person", "name": "Ada"},
    )
    return Label.objects.get(face=face)


def table() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(export.csv_lines()))))


def test_each_label_comes_with_who_when_and_why():
    label = labelled()
    row = table()[0]
    assert row["identity_name"] == "Ada"
    assert row["decided_by"] == label.decision.person.username
    assert row["decided_at"] == label.decision.at.isoformat()
    assert '"question"' in row["evidence"]


@pytest.mark.parametrize("missing", ["licence", "legal_basis"])
def test_a_source_without_its_rights_is_not_exported(missing: str):
    label = labelled(**{missing: ""})
    with pytest.raises(RightsNotStated, match=label.face.photo.source.name):
        export.rows()


def test_what_may_be_exported_is_and_the_rest_is_said():
    label, withheld = labelled(), labelled(legal_basis="")
    assert [row["face_id"] for row in table()] == [str(label.face_id)]
    found = export.summary()
    assert (found.faces, found.withheld) == (1, 1)
    assert found.withheld_sources == [withheld.face.photo.source.name]


def test_a_photos_own_licence_does_for_its_sources():
    label = labelled(licence="")
    assert export.summary().faces == 0
    label.face.photo.licence = "CC-BY-4.0"
    label.face.photo.save()
    assert table()[0]["licence"] == "CC-BY-4.0"


def test_a_scraped_name_does_not_become_a_formula():
    label = labelled()
    label.face.photo.source_url = "=HYPERLINK(1)"
    label.face.photo.save()
    assert table()[0]["source_url"] == "'=HYPERLINK(1)"


def test_parquet_holds_the_same_with_its_types():
    labelled()
    stream = io.BytesIO()
    assert export.write_parquet(stream) == 1
    stream.seek(0)
    read = pq.read_table(stream)
    assert read.schema.equals(export.SCHEMA)
    assert [str(row["face_id"]) for row in read.to_pylist()] == [row["face_id"] for row in table()]


def test_nothing_labelled_is_an_empty_table_not_an_error():
    assert table() == []


def test_attributes_come_with_the_face_and_why_they_are_believed():
    face = a_face()
    records = [("gender", "female"), ("real_age", "30.50"), ("emotion", "cannot_tell")]
    ledger.write(
        [Decision(kind="value", face=face, attribute=name, value=value, by="import") for name, value in records]
    )

    (row,) = table()

    assert (row["gender"], row["real_age"], row["emotion"], row["identity_id"]) == ("female", "30.5", "", "")
    why = json.loads(row["attributes"])
    assert why["emotion"]["value"] == "cannot_tell"
    assert why["gender"]["decided_by"] == "import"
