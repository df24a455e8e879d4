"""Erasure: whole, in every table and file that there is, never half, and nothing of it comes back."""

import io
import json
from itertools import chain
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from django.apps import apps
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.utils import timezone
from PIL import Image

from annotation import answers, contradictions, erasure, faces, gallery, holds, intake, people, records, tombstones
from annotation.erasure import carrying_out, files, pieces
from annotation.errors import BadErasure, HeldBack
from annotation.models import (
    Answer,
    ClusteringRun,
    Copy,
    Decision,
    Embedding,
    ErasedFile,
    Erasure,
    Face,
    FaceSearch,
    Feedback,
    Identity,
    Label,
    LegalHold,
    Membership,
    Photo,
    Question,
    QuestionFace,
    Source,
    Tombstone,
    Vote,
)
from annotation.thumbnails import small_key
from inference.core.attributes import attribute
from tests.factories import (
    a_cluster,
    a_face,
    a_grid,
    a_pair,
    a_person,
    a_photo,
    a_picture,
    a_proposal,
    a_question,
    a_single,
    a_source,
    a_user,
    a_version,
    an_annotator,
    an_embedding,
)

pytestmark = pytest.mark.django_db

# What happens to each column that leads to a photo, a face, a person or a source, when that is erased. A new table has
# to be thought about in annotation/erasure/, and then named here.
GOES, TAKEN_OFF, STAYS = "its row goes", "it is emptied, or the row shortened", "it stays, for the reason given"
COLUMNS = {
    "annotation.Intake.source": GOES,
    "annotation.User.sources": TAKEN_OFF,
    "annotation.Refusal.source": GOES,
    "annotation.Photo.source": GOES,
    "annotation.Photo.duplicate_of": TAKEN_OFF,
    "annotation.Copy.photo": GOES,
    "annotation.Copy.source": GOES,
    "annotation.Face.photo": GOES,
    "annotation.Face.duplicate_of": TAKEN_OFF,
    "annotation.Embedding.face": GOES,
    "annotation.Identity.merged_into": GOES,
    "annotation.Cluster.identity": TAKEN_OFF,
    "annotation.Membership.face": GOES,
    "annotation.Question.source": TAKEN_OFF,
    "annotation.Question.identity": GOES,
    "annotation.Question.other_identity": GOES,
    "annotation.QuestionFace.face": GOES,
    "annotation.Feedback.photo": GOES,
    "annotation.Feedback.face": GOES,
    "annotation.Vote.face": GOES,
    "annotation.Decision.face": GOES,
    "annotation.Decision.identity": GOES,
    "annotation.Decision.other_identity": GOES,
    "annotation.Label.face": GOES,
    "annotation.Label.identity": GOES,
    "annotation.AttributeLabel.face": GOES,
    "annotation.NetworkOutput.face": GOES,
    "annotation.Proposal.face": GOES,
    "annotation.MapPoint.face": GOES,
    "annotation.LegalHold.source": GOES,
    "annotation.LegalHold.photo": GOES,
    "annotation.LegalHold.identity": GOES,
    "annotation.ErasedFace.photo": GOES,
    "annotation.Question.faces": GOES,
}
# Columns of JSON: those that may hold ids, names or words about somebody, and why the others do not.
JSON = {
    **dict.fromkeys(["annotation.Photo.metadata", "annotation.Photo.imported"], GOES),
    **dict.fromkeys(["annotation.Face.points", "annotation.Face.landmarks", "annotation.Face.transform"], GOES),
    **dict.fromkeys(["annotation.Feedback.box", "annotation.Feedback.predicted", "annotation.KeptAnswer.body"], GOES),
    **dict.fromkeys(["annotation.Decision.detail", "annotation.Decision.evidence"], GOES),
    **dict.fromkeys(["annotation.AttributeLabel.detail", "annotation.Proposal.belief"], GOES),
    "annotation.Proposal.evidence": GOES,
    "annotation.Answer.content": TAKEN_OFF,
    "annotation.Question.reason": TAKEN_OFF,
    "annotation.FaceSearch.found": TAKEN_OFF,
    "annotation.ClusteringRun.changes": TAKEN_OFF,
    "annotation.Release.changes": TAKEN_OFF,
    "training.Evaluation.differ": TAKEN_OFF,
    "annotation.ReleaseErasure.faces": STAYS,  # it says which faces of a frozen release are erased
    **dict.fromkeys(
        [f"annotation.Erasure.{name}" for name in ("ids", "people", "sources")], STAYS
    ),  # ids that nothing has
    # Counts, settings, weights, measures: of many, and of nobody.
    **dict.fromkeys([f"annotation.Erasure.{name}" for name in ("counts", "files", "releases", "report")], STAYS),
    **dict.fromkeys(["annotation.User.practised", "annotation.AccessToken.scopes"], STAYS),
    **dict.fromkeys(
        ["annotation.ClusteringRun.settings", "annotation.Release.query", "annotation.Release.counts"], STAYS
    ),
    **dict.fromkeys(
        [f"annotation.Calibration.{n}" for n in ("sources", "weights", "bias", "diagram", "sequences")], STAYS
    ),
    **dict.fromkeys(["annotation.Reliability.confusion", "annotation.Agreement.frequency"], STAYS),
    "annotation.Snapshot.counts": STAYS,
    **dict.fromkeys(["annotation.Snapshot.parts", "annotation.Worker.queues", "annotation.Worker.doing"], STAYS),
    **dict.fromkeys([f"training.TrainingRun.{name}" for name in ("config", "progress", "history")], STAYS),
    **dict.fromkeys(["training.Evaluation.measured", "training.Evaluation.compared", "training.Promotion.gate"], STAYS),
    **dict.fromkeys(["training.BenchmarkResult.outcome", "inference.ModelVersion.metrics"], STAYS),
    "annotation.Setting.value": STAYS,
    "annotation.AuditEvent.details": STAYS,  # append-only, and by ids alone
}


def test_every_column_that_leads_to_what_may_be_erased_is_thought_about():
    targets = {Photo, Face, Identity, Source}
    found, json_columns = set(), set()
    for model in apps.get_models():
        if model._meta.app_label not in ("annotation", "training", "inference"):
            continue
        for column in (*model._meta.fields, *model._meta.many_to_many):
            name = f"{model._meta.label}.{column.name}"
            if isinstance(column, models.JSONField):
                json_columns.add(name)
            elif column.related_model in targets:
                found.add(name)

    assert found - COLUMNS.keys() == set(), "Erase it in annotation/erasure/, then name it in COLUMNS."
    assert json_columns - JSON.keys() == set(), "Does it hold ids or names? Then erase them; name it in JSON."


def erase(kind: str, *ids: int, **options: object) -> Erasure:
    asked = erasure.request(
        kind=kind, ids=ids, reason="Art. 17", by=options.pop("by", None) or a_user(role="admin"), **options
    )
    made = erasure.carry_out(asked.pk)
    assert made is not None
    return made


def a_scene() -> tuple[Identity, Identity, list[Face]]:
    """Two people, the first of whom is in all that there is; the second stays."""
    version = a_version()
    rows = [a_face(a_photo(name="Berta Sorge", query="berta sorge"), perceptual_hash=77 + n) for n in range(3)]
    others = [a_face() for _ in range(2)]
    for n, face in enumerate([*rows, *others]):
        an_embedding(face, version, [1.0, n / 10, 0.2, 0.1])
        a_picture(face.photo, seed=900 + n)
        default_storage.save(small_key(face.photo), ContentFile(b"thumbnail"))
        a_proposal(face, [0.9, 0.1])
    by = a_user()
    berta, kept = a_person(rows, "Berta Sorge", by=by), a_person(others, "Other Person", by=by)
    cluster = a_cluster([*rows, others[0]])
    a_question([*rows, others[0]], cluster=cluster)
    grid = a_grid([rows[0], others[1]])
    answers.record_answer(
        question_id=grid.pk, annotator=an_annotator(), client_id=uuid4(),
        content={"verdict": "marked", "marks": {str(rows[0].pk): "male"}},
    )  # fmt: skip
    single = a_single(rows[1])
    said = {"verdict": "value", "value": "female"}
    answers.record_answer(question_id=single.pk, annotator=an_annotator(), client_id=uuid4(), content=said)
    a_pair(berta, kept)
    people.describe(identity_id=berta.pk, attribute="gender", value="female", by=by)
    Feedback.objects.create(photo=rows[0].photo, face=rows[0], attribute="gender", claimed="male", by=by)
    FaceSearch.objects.create(by=by, faces=1, found=[berta.pk, kept.pk])
    run = ClusteringRun.objects.get(state="applied")
    run.changes = {"examples": [{"kind": "split", "groups": [[rows[0].pk, others[0].pk]], "note": ""}]}
    run.save()
    gallery.keep_up()
    return berta, kept, rows


def test_a_person_is_gone_from_every_table_and_file_and_the_dry_run_had_counted_it():
    berta, kept, rows = a_scene()
    before = {face.crop_key for face in rows} | {face.photo.key for face in rows}
    gone, ids = {berta.pk}, {face.pk for face in rows}

    foreseen = erasure.dry_run(erasure.draft(kind="person", ids=[berta.pk], by=None))
    assert Photo.objects.count() == 5
    made = erase("person", berta.pk)

    assert made.state == "done", made.error
    assert foreseen.exact
    told = {name: number for name, number in made.counts.items() if name not in ("galleries", "uploaded deliveries")}
    assert foreseen.rows == told
    assert foreseen.files == sum(made.files.values()) == 9
    assert (Photo.objects.count(), Face.objects.count(), Embedding.objects.count()) == (2, 2, 2)
    assert not Identity.objects.filter(pk__in=gone).exists()
    assert not Decision.objects.filter(face__in=ids).exists()
    assert not Vote.objects.filter(face__in=ids).exists()
    assert not Membership.objects.filter(face__in=ids).exists()
    assert not Question.objects.filter(kind="pair").exists()
    assert not Feedback.objects.exists()
    assert Label.objects.filter(identity=kept).count() == 2
    assert FaceSearch.objects.get().found == [kept.pk]
    marks = [answer.content["marks"] for answer in Answer.objects.all() if "marks" in answer.content]
    assert marks == [{}]
    assert not [key for key in before if default_storage.exists(key)]
    assert gallery.current().people.tolist() == [kept.pk]
    assert made.report["left"] == {"rows": 0, "files": 0}
    assert ClusteringRun.objects.get().changes["examples"][0]["groups"] == [[Face.objects.order_by("pk")[0].pk]]


@pytest.mark.django_db(transaction=True)
def test_no_byte_of_a_person_is_left_on_disk_in_the_database_or_in_the_index():
    berta, _, rows = a_scene()
    looked_for, kept_nowhere = {b"Berta Sorge", b"berta sorge"}, set[bytes]()
    for face in rows:
        for key in (face.crop_key, face.photo.key):
            looked_for.add(Path(default_storage.path(key)).read_bytes()[-500:-100])
        half = bytes(face.embeddings.get().vector)
        looked_for |= {half, face.photo.sha256.encode()}
        kept_nowhere.add(np.frombuffer(half, "<f2").astype("<f4").tobytes())
    with np.load(io.BytesIO(Path(default_storage.path(next(_galleries()))).read_bytes())) as kept:
        looked_for |= {row.tobytes() for row, who in zip(kept["means"], kept["people"], strict=True) if who == berta.pk}
    assert _found(looked_for) == looked_for  # so it would be found

    hashes = {face.perceptual_hash for face in rows}
    made = erase("person", berta.pk)

    assert made.state == "done", made.error
    assert _found(looked_for | kept_nowhere) == set()
    assert not Face.objects.filter(perceptual_hash__in=hashes).exists()
    assert not [value for value in _dump() if b"berta" in value.lower()]


def _galleries():
    return (f"galleries/{name}" for name in default_storage.listdir("galleries")[1] if name.endswith(".npz"))


def _found(patterns: set[bytes]) -> set[bytes]:
    """Those of these bytes that are in some file of the data folder: photos, galleries, the database and its log."""
    found = set()
    for path in Path(settings.DATA_DIR).rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            found |= {pattern for pattern in patterns if pattern in content}
    values = b"\0".join(_dump())
    return found | {pattern for pattern in patterns if pattern in values}


def _dump() -> list[bytes]:
    """Every value of every table, texts as UTF-8."""
    told = list[bytes]()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            for value in chain.from_iterable(cursor.fetchall()):
                told.append(bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode())
    return told


def test_a_report_is_genuine_until_one_character_of_it_is_changed():
    made = erase("photo", a_photo().pk)

    assert erasure.is_genuine(made.report, made.signature)
    assert not erasure.is_genuine(made.report | {"reason": "another"}, made.signature)
    assert json.loads(json.dumps(made.report)) == made.report


def test_a_photo_may_not_come_back_until_an_admin_lets_it(tmp_path: Path):
    source, by = a_source(), a_user()
    picture = a_picture(a_photo(source))
    data = Path(default_storage.path(picture.key)).read_bytes()
    taken = intake.take_upload(source=source, name="one.jpg", data=data, by=by)
    made = erase("photo", taken.photo.pk)

    again = intake.take_upload(source=source, name="two.jpg", data=data, by=by)
    assert (again.outcome, again.refusal.code) == ("refused", "erased")
    assert not default_storage.exists(taken.photo.key)
    assert taken.photo.sha256 not in json.dumps(list(made.tombstones.values_list("key", flat=True)))

    assert erasure.lift_tombstones(made, by=by) == 1
    assert intake.take_upload(source=source, name="two.jpg", data=data, by=by).outcome == "taken"


def test_a_photo_of_two_sources_stays_under_the_other_without_what_the_first_said():
    first, second = a_source("First"), a_source("Second")
    photo = a_picture(a_photo(first, name="Berta Sorge", caption="her", file="berta.jpg"))
    alone = a_picture(a_photo(first))
    Copy.objects.create(photo=photo, source=second, file="x.jpg", query="sea")

    foreseen = erasure.dry_run(erasure.draft(kind="source", ids=[first.pk], by=None))
    assert foreseen.handed_over == 1
    erase("source", first.pk)

    left = Photo.objects.get()
    assert (left.pk, left.source, left.file, left.query, left.name, left.caption) == (
        photo.pk, second, "x.jpg", "sea", "", "",
    )  # fmt: skip
    assert default_storage.exists(photo.key)
    assert not default_storage.exists(alone.key)
    assert not Source.objects.filter(pk=first.pk).exists()


def test_a_face_goes_and_is_not_found_again_while_its_photo_stays():
    photo = a_photo(name="Berta Sorge")
    gone, other = a_face(photo), a_face(photo, number=1, chosen=False, x=200.0)
    a_picture(photo)
    erase("face", gone.pk)

    photo = Photo.objects.get(pk=photo.pk)
    assert (list(photo.faces.all()), photo.face_count, photo.name) == ([other], 1, "")
    assert not default_storage.exists(gone.crop_key)
    assert default_storage.exists(photo.key)
    found, _ = faces._not_erased(photo, [gone, other], [np.zeros((1, 1, 3), np.uint8)] * 2)
    assert found == [other]


def test_a_person_among_others_is_blacked_out_where_that_is_asked_for():
    photo = a_photo(caption="all of us")
    theirs, other = a_face(photo), a_face(photo, number=1, chosen=False, x=200.0)
    a_picture(photo)
    alone = a_face()
    a_picture(alone.photo, seed=3)
    berta = a_person([theirs, alone])
    old = photo.sha256
    made = erase("person", berta.pk, black_out=True)

    assert made.state == "done", made.error
    photo = Photo.objects.get()
    assert (list(photo.faces.all()), photo.caption, photo.sha256 == old) == ([other], "", False)
    assert default_storage.exists(photo.key)
    assert default_storage.exists(photo.faces.get().crop_key)
    assert tombstones.refuses(old)
    assert not list(Path(settings.MEDIA_ROOT).rglob(f"{old}*"))


def test_a_kill_between_rows_and_files_leaves_an_erasure_that_goes_on(monkeypatch: pytest.MonkeyPatch):
    photos = [a_picture(a_photo(), seed=n) for n in range(3)]
    monkeypatch.setattr(carrying_out, "PIECE", 1)
    asked = erasure.request(kind="photo", ids=[photo.pk for photo in photos], reason="x", by=a_user(role="admin"))

    def killed(key: str) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(files, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            erasure.carry_out(asked.pk)
    assert Photo.objects.count() == 2
    assert erasure.carry_out(asked.pk) is None  # its claim has not run out
    made = erasure.carry_out(asked.pk, now=timezone.now() + 2 * carrying_out.CLAIM)

    assert (made.state, made.done, Photo.objects.count()) == ("done", 3, 0)
    assert made.files == {"photos": 3}
    assert not [photo for photo in photos if default_storage.exists(photo.key)]


def test_a_kill_before_the_report_is_signed_leaves_one_that_is_signed_later(monkeypatch: pytest.MonkeyPatch):
    berta = a_person(2)
    asked = erasure.request(kind="person", ids=[berta.pk], reason="x", by=a_user(role="admin"))

    def killed(counts: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(carrying_out, "overwrite", killed)
        with pytest.raises(KeyboardInterrupt):
            erasure.carry_out(asked.pk)
    asked.refresh_from_db()
    assert (asked.state, asked.report, Photo.objects.count()) == ("running", None, 0)
    made = erasure.carry_out(asked.pk, now=timezone.now() + 2 * carrying_out.CLAIM)

    assert (made.state, made.done) == ("done", 2)
    assert made.report["rows"]["annotation.Photo"] == 2
    assert made.report["rows"]["annotation.Identity"] == 1
    assert erasure.is_genuine(made.report, made.signature)


def test_a_face_that_moves_into_another_picture_meanwhile_is_blacked_out_of_that(monkeypatch: pytest.MonkeyPatch):
    """Of two on one photo who are erased at once, the second one's picture is made of what the first one's left."""
    photo = a_photo()
    one, two, three = (a_face(photo, number=n, chosen=not n, x=10.0 + 120 * n) for n in range(3))
    a_picture(photo)
    admin = a_user(role="admin")
    first, second = (
        erasure.request(kind="face", ids=[face.pk], black_out=True, reason="x", by=admin) for face in (one, two)
    )
    blacken, made = pieces.blacken, list[object]()

    def meanwhile(*given: object) -> object:
        black = blacken(*given)
        made.append(black)
        if len(made) == 1:
            assert erasure.carry_out(second.pk).state == "done"
        return black

    monkeypatch.setattr(pieces, "blacken", meanwhile)
    assert erasure.carry_out(first.pk).state == "done"

    assert len(made) == 3
    photo.refresh_from_db()
    assert list(photo.faces.all()) == [three]
    with default_storage.open(photo.key) as file:
        picture = np.asarray(Image.open(file).convert("RGB"))
    for face in (one, two):
        assert picture[int(face.y + 40), int(face.x + 40)].max() < 16
    assert picture[60, 299].max() >= 16


def test_a_file_that_somebody_was_writing_meanwhile_goes_an_hour_later():
    photo = a_picture(a_photo())
    erase("photo", photo.pk)
    a_picture(photo)

    assert erasure.sweep(timezone.now()) == 0
    assert erasure.sweep(timezone.now() + 2 * files.AGAIN) == 1
    assert not default_storage.exists(photo.key)
    assert not ErasedFile.objects.exists()


def test_a_hold_keeps_a_photo_whoever_asks_and_the_schedule_too():
    source = a_source(retention_until=timezone.now().date() - timezone.timedelta(days=1))
    held, other = a_face(a_photo(source)), a_face(a_photo(source))
    person, admin = a_person([held]), a_user(role="admin")
    hold = holds.place(on=person, because="case 7", by=admin)

    for kind, pk in (("photo", held.photo_id), ("face", held.pk), ("person", person.pk), ("source", source.pk)):
        with pytest.raises(HeldBack, match=f"hold {hold.pk} on person {person.pk}"):
            erasure.request(kind=kind, ids=[pk], reason="x", by=admin)
    [expiry] = erasure.expire()
    assert erasure.carry_out(expiry.pk).state == "done"
    assert list(Photo.objects.all()) == [held.photo]
    assert erasure.expire() == []

    with pytest.raises(BadErasure, match="Say why"):
        holds.lift(hold=hold, because=" ", by=admin)
    holds.lift(hold=hold, because="dismissed", by=admin)
    [expiry] = erasure.expire()
    erasure.carry_out(expiry.pk)
    assert not Photo.objects.exists()
    assert Source.objects.filter(pk=source.pk).exists()
    assert other


def test_what_is_split_off_somebody_held_stays_held_and_what_was_before_is_not():
    corrected, split_off, no_face, stays = faces = [a_face() for _ in range(4)]
    person, admin = a_person(faces), a_user(role="admin")
    people.split(identity_id=person.pk, face_ids=[corrected.pk], by=admin)
    hold = holds.place(on=person, because="case 7", by=admin)

    people.split(identity_id=person.pk, face_ids=[split_off.pk], by=admin)
    people.not_a_face(face_ids=[no_face.pk], by=admin)

    assert set(holds.held(Photo.objects.all())) == {split_off.photo, no_face.photo, stays.photo}
    for face in (split_off, no_face):
        with pytest.raises(HeldBack, match=f"hold {hold.pk} on person {person.pk}"):
            erasure.request(kind="photo", ids=[face.photo_id], reason="x", by=admin)
    other = Label.objects.get(face=split_off).identity
    with pytest.raises(HeldBack):
        erasure.request(kind="person", ids=[other.pk], reason="x", by=admin)
    erase("photo", corrected.photo_id)


@pytest.mark.parametrize("kind", ["source", "person"])
def test_a_hold_that_comes_after_the_last_piece_keeps_what_is_left_and_itself(
    kind: str, monkeypatch: pytest.MonkeyPatch
):
    admin, end = a_user(role="admin"), carrying_out.end_rows
    on = a_source() if kind == "source" else Identity.objects.create(name="Of no photo")
    asked = erasure.request(kind=kind, ids=[on.pk], reason="request 7", by=admin)

    def held_first(made: Erasure) -> bool:
        if not LegalHold.objects.exists():
            holds.place(on=on, because="case 9", by=admin)
        return end(made)

    monkeypatch.setattr(carrying_out, "end_rows", held_first)
    made = erasure.carry_out(asked.pk)

    assert made is not None
    assert made.state == "failed"
    assert "case 9" in made.error
    assert type(on).objects.filter(pk=on.pk).exists()
    holds.lift(hold=LegalHold.objects.get(), because="over", by=admin)
    erasure.go_on(made)
    assert erasure.carry_out(made.pk).state == "done"
    assert not type(on).objects.filter(pk=on.pk).exists()


def test_what_was_uploaded_for_a_source_goes_with_it_however_young():
    gone, stays = a_source(), a_source()
    paths = [intake.keep_upload("some.zip", iter([b"PK of it"])) for _ in range(3)]
    for source, path in zip((gone, gone, stays), paths, strict=True):
        intake.start_intake(source=source, kind="archive", path=str(path), by=None)
    gone.intakes.filter(path=paths[1]).update(state="failed", error="The disk is full.")

    made = erase("source", gone.pk)

    assert [path.exists() for path in paths] == [False, False, True]
    assert made.counts["uploaded deliveries"] == 2


def test_whom_a_source_named_has_no_name_by_it_once_it_is_gone():
    first, second = a_source("First"), a_source("Second")
    said = {"age": None, "values": {}, "votes": {}}
    for name in ("Berta Sorge", "Clara Sorge"):
        photo = a_photo(first, file=f"{name}.jpg", imported=said | {"identity": name})
        a_face(photo)
        records.write_down(photo)
        Copy.objects.create(photo=photo, source=second, file=f"{photo.pk}.jpg")
    clara = Identity.objects.get(name="Clara Sorge")
    people.assign(face_ids=[a_face(a_photo(second)).pk], identity_id=clara.pk, by=a_user())

    erase("source", first.pk)

    assert Photo.objects.count() == 3
    assert not [value for value in _dump() if b"sorge" in value.lower()]
    assert (Identity.objects.get().pk, Identity.objects.get().face_count) == (clara.pk, 1)


def test_what_clients_said_elsewhere_names_nobody_who_is_erased():
    berta, by, other = a_person(1, "Berta Sorge"), a_user(), a_face()
    told = {"candidates": [{"name": "Berta Sorge"}, {"name": "Clara"}], "box": [1, 2]}
    for claimed in ("berta sorge", "Clara"):
        Feedback.objects.create(
            photo=other.photo, face=other, attribute="identity", claimed=claimed, predicted=told, by=by
        )

    erase("person", berta.pk)

    assert list(Feedback.objects.order_by("pk").values_list("claimed", flat=True)) == ["", "Clara"]
    assert not [value for value in _dump() if b"berta" in value.lower()]
    assert Feedback.objects.first().predicted == {"candidates": [{"name": ""}, {"name": "Clara"}], "box": [1, 2]}


def test_what_cannot_be_erased_is_told():
    berta, admin = a_person(1, "Berta Sorge"), a_user(role="admin")
    for options, told in (
        ({"kind": "photo", "ids": [10**6]}, "There is no photo 1000000"),
        ({"kind": "photo", "ids": []}, "No photo is named"),
        ({"kind": "person", "ids": [berta.pk], "reason": "Berta Sorge wrote"}, "names the person"),
        ({"kind": "person", "ids": [berta.pk], "reason": " "}, "Say why"),
        ({"kind": "photo", "ids": [Photo.objects.get().pk], "black_out": True}, "Only faces are blacked out"),
    ):
        with pytest.raises(BadErasure, match=told):
            erasure.request(**({"reason": "x", "by": admin} | options))


def test_of_two_that_ask_for_the_same_one_erasure_is_made():
    photo, admin = a_photo(), a_user(role="admin")
    first, second = (erasure.request(kind="photo", ids=[photo.pk], reason="x", by=admin) for _ in range(2))

    assert first == second


def test_a_merge_while_a_person_is_erased_saves_nobody():
    berta, other = a_person(2), a_person(1)
    admin = a_user(role="admin")
    asked = erasure.request(kind="person", ids=[berta.pk], reason="x", by=admin)
    people.merge(identity_ids=[berta.pk], into_id=other.pk, by=admin)

    assert erasure.carry_out(asked.pk).state == "done"
    assert Photo.objects.count() == 1
    assert Label.objects.get().identity == other


def told(*words: str) -> str:
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_the_command_counts_first_and_erases_only_when_told_to(tmp_path: Path):
    berta, admin = a_person(2, "Berta Sorge"), a_user("root", role="admin")

    assert "2  Photos" in told("erase", "person", "Berta Sorge")
    assert Photo.objects.count() == 2
    for words in (["--reason", "x"], ["--reason", "x", "--by", "nobody"], ["--by", "root"]):
        with pytest.raises(CommandError):
            told("erase", "person", str(berta.pk), "--yes", *words)
    hold = holds.place(on=berta, because="case 7", by=admin)
    with pytest.raises(CommandError, match="stands in the way"):
        told("erase", "person", str(berta.pk), "--yes", "--reason", "x", "--by", "root")
    told("hold", "lift", str(hold.pk), "--because", "dismissed", "--by", "root")

    signed = json.loads(told("erase", "person", str(berta.pk), "--yes", "--reason", "x", "--by", "root", "--json"))
    assert (signed["report"]["by"], Photo.objects.count()) == ("root", 0)
    report = tmp_path / "report.json"
    report.write_text(told("erase", "report", str(signed["report"]["erasure"])))
    assert "Genuine" in told("erase", "verify", str(report))
    report.write_text(report.read_text().replace('"x"', '"y"'))
    with pytest.raises(CommandError, match="changed"):
        told("erase", "verify", str(report))


def test_what_a_restored_backup_brings_back_goes_again_unless_it_was_let_back(tmp_path: Path):
    admin, listed = a_user(role="admin"), tombstones.list_path()
    gone, shown = a_picture(a_photo()), a_photo()
    one, two, other = (a_face(shown, number=n, chosen=not n, x=10.0 + 120 * n) for n in range(3))
    a_picture(shown)
    as_it_was = Path(default_storage.path(shown.key)).read_bytes()
    made = erasure.carry_out(erasure.request(kind="photo", ids=[gone.pk], reason="x", by=admin).pk)
    for face in (one, two):
        asked = erasure.request(kind="face", ids=[face.pk], black_out=True, reason="x", by=admin)
        assert erasure.carry_out(asked.pk).state == "done"
    assert "photo" in listed.read_text()

    # As the backup has it: both photos, and all three faces of the second one in its first picture.
    Tombstone.objects.all().delete()
    Photo.objects.filter(pk=shown.pk).delete()
    shown.face_count = 3
    for photo in (gone, shown):
        photo.pk = None
        photo.save(force_insert=True)
    default_storage.save(shown.key, ContentFile(as_it_was))
    for face in (one, two, other):
        face.pk, face.photo = None, shown
        face.save(force_insert=True)
    assert erasure.erase_again(tombstones.written_down(listed)) == 3
    assert [face.number for face in Face.objects.filter(photo=shown)] == [2]
    assert not Photo.objects.filter(sha256=gone.sha256).exists()
    assert erasure.erase_again(tombstones.written_down(listed)) == 0

    again = Erasure.objects.filter(kind="photo").first()
    assert erasure.lift_tombstones(again, by=admin) == 1
    a_photo(sha256=gone.sha256)
    assert erasure.erase_again(tombstones.written_down(listed)) == 0
    assert made.by == admin


def test_why_somebody_was_asked_about_names_nobody_who_is_erased():
    (one, other), curator = (a_person(1), a_person(1)), a_user()
    for person, value in ((one, "female"), (other, "male")):
        people.describe(identity_id=person.pk, attribute="gender", value=value, by=curator)
    merge = people.merge(identity_ids=[other.pk], into_id=one.pk, by=curator)
    contradictions.ask(attribute("gender"))
    question = Question.objects.get(reason__kind="merged")
    said = {"verdict": "value", "value": "female"}
    answers.record_answer(question_id=question.pk, annotator=curator, client_id=uuid4(), content=said)
    answers.undo_answer(answer_id=merge.pk, by=curator)  # they were two

    made = erase("person", other.pk)
    question.refresh_from_db()
    assert question.reason["said"] == [[one.pk, "female"]]
    assert made.report["rows"]["annotation.Question (shortened)"] == 1
    Question.objects.update(reason={"kind": "merged", "into": one.pk, "said": [[one.pk, "female"], [99, "male"]]})
    QuestionFace.objects.all().delete()  # else it would go with their face
    erase("person", one.pk)
    assert list(Question.objects.values_list("reason", flat=True)) == [
        {"kind": "merged", "into": 0, "said": [[99, "male"]]}
    ]
