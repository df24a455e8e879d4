"""Releases hold what they should, tear nobody apart, and keep their test."""

import io
import itertools
import random
from datetime import timedelta

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from annotation import answers, erasure, intake, ledger, people, releases, tasks
from annotation.core.release import FaceRow
from annotation.core.release_query import ReleaseQuery
from annotation.core.sampling import face_key, in_control_slice
from annotation.errors import (
    AnnotationError,
    BadReleaseQuery,
    ReleaseDamaged,
    ReleaseExists,
    ReleaseHasErased,
    ReleaseNotDone,
    RightsNotStated,
)
from annotation.models import Answer, Decision, Face, Identity, Photo, Release, Source
from tests.annotation.core.releases import a_jpeg
from tests.factories import a_cluster, a_face, a_person, a_photo, a_proposal, a_run, a_source, a_user, a_version

OTHER_SHARES = {"train": 0.9, "validation": 0.05, "test": 0.05}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_folder(settings, tmp_path):
    settings.RELEASES_DIR = tmp_path / "releases"


def says(face: Face, attribute: str = "gender", value: str = "female", **line: object) -> Face:
    """A label of this face, as an import has it or as told."""
    defaults = {"by": Decision.By.IMPORT, "evidence": {"set": "s"}}
    ledger.write([Decision(kind="value", face=face, attribute=attribute, value=value, **(defaults | line))])
    return face


def with_picture(face: Face) -> Face:
    if not default_storage.exists(face.crop_key):
        default_storage.save(face.crop_key, ContentFile(a_jpeg(face.pk, 64)))
    return face


def a_labelled_face(source: Source | None = None, value: str = "female", **fields: object) -> Face:
    return with_picture(says(a_face(a_photo(source), **fields), value=value))


def some_labelled(count: int, source: Source | None = None) -> list[Face]:
    source = source or a_source()
    return [a_labelled_face(source, ("female", "male")[n % 2]) for n in range(count)]


def released(name: str = "first", **query: object) -> Release:
    asked = releases.create_release(name=name, query=query, by=None)
    releases.build(asked.pk)
    asked.refresh_from_db()
    return asked


def rows(release: Release) -> dict[int, FaceRow]:
    return {row.face: row for row in releases.opened(release).faces()}


def splits(release: Release) -> dict[int, str]:
    return {face: row.split for face, row in rows(release).items()}


# ---- what is in it


def test_a_release_holds_the_labelled_faces_with_pictures_landmarks_labels_and_rights():
    source = a_source("s", licence="CC-BY-4.0", legal_basis="consent")
    face = a_labelled_face(source, transform=[[2.0, 0.0, 1.0], [0.0, 2.0, -3.0]], yaw=3.5)
    a_face(a_photo(source))  # without a label

    release = released()

    (row,) = rows(release).values()
    assert release.state == "done"
    assert (row.face, row.source, row.licence, row.legal_basis) == (face.pk, "s", "CC-BY-4.0", "consent")
    assert row.image == a_jpeg(face.pk, 64)
    assert np.array_equal(row.landmarks, np.asarray(face.landmarks, np.float32) * 2 + (1, -3))
    assert row.labels["gender"].value == "female"
    assert row.labels["gender"].distribution == (1.0, 0.0)
    assert (row.size, row.yaw, row.sha256) == (80.0, 3.5, face.photo.sha256)
    assert release.counts["attributes"]["gender"]["train"] == {"female": 1}


@pytest.mark.parametrize("missing", ["licence", "legal_basis"])
def test_photos_whose_rights_are_not_stated_are_withheld(missing):
    stated = a_labelled_face()
    a_labelled_face(a_source(**{missing: ""}))

    assert set(rows(released())) == {stated.pk}


def test_if_rights_withhold_everything_it_says_whose():
    a_labelled_face(a_source("shady", licence=""))

    with pytest.raises(RightsNotStated, match="shady"):
        releases.create_release(name="r", query={}, by=None)


def test_what_should_be_gone_by_now_is_not_released():
    kept = a_labelled_face(a_source(retention_until=timezone.now().date()))
    a_labelled_face(a_source(retention_until=timezone.now().date() - timedelta(days=1)))

    assert set(rows(released())) == {kept.pk}


def test_what_is_called_no_face_is_left_out():
    kept, other = a_labelled_face(), a_labelled_face()
    ledger.write([Decision(kind="not_a_face", face=other, by="import")])

    assert set(rows(released())) == {kept.pk}


def test_filters_choose_by_attribute_source_size_quality_and_licence():
    source = a_source("wanted", licence="A")
    face = a_labelled_face(source, width=100.0, height=90.0)
    small = a_labelled_face(source, width=100.0, height=20.0)
    turned = a_labelled_face(source, yaw=-60.0, width=100.0, height=90.0)
    elsewhere = a_labelled_face(a_source("other"))
    aged = with_picture(says(a_face(a_photo(source)), "real_age", "30.00", detail={"low": 30, "high": 31}))
    all_ = {face.pk, small.pk, turned.pk, elsewhere.pk, aged.pk}

    def found(**query: object) -> set[int]:
        return set(releases.plan(ReleaseQuery(**query)).faces.tolist())

    assert found() == all_
    assert found(attributes=("gender",)) == all_ - {aged.pk}
    assert found(attributes=("gender", "real_age")) == all_
    assert found(attributes=("gender", "real_age"), all_of_them=True) == set()
    assert found(sources=("wanted",)) == all_ - {elsewhere.pk}
    assert found(licences=("A",)) == all_ - {elsewhere.pk}
    assert found(min_size=50) == all_ - {small.pk}
    assert found(max_yaw=45) == all_ - {turned.pk}
    assert found(min_sharpness=101) == set()


def test_labels_that_are_believed_too_little_are_left_out_and_faces_with_no_other():
    certified = {"certificate": 1, "confidence": 0.97}
    sure = with_picture(says(a_face(), by="machine", evidence={"certificate": 1, "confidence": 0.995}))
    both = with_picture(says(a_labelled_face(), "emotion", "happy", by="machine", evidence=certified))
    with_picture(says(a_face(), by="machine", evidence=certified))

    found = rows(released(min_confidence=0.99))

    assert set(found) == {sure.pk, both.pk}
    assert found[both.pk].labels.keys() == {"gender"}
    assert found[sure.pk].labels["gender"].confidence == 0.995


def test_labels_can_be_wanted_of_those_who_decided_them():
    says(a_face(), by="machine", evidence={"certificate": 1, "confidence": 0.97})
    imported = a_labelled_face()

    assert releases.plan(ReleaseQuery(decided_by=("import",))).faces.tolist() == [imported.pk]


@pytest.mark.parametrize(
    ("by", "evidence", "believed"),
    [
        ("import", {"set": "s"}, 1.0),
        ("machine", {"certificate": 1, "confidence": 0.97}, 0.97),
        ("machine", {"born": "2000", "taken": "2020"}, 1.0),
        ("person", {"votes": 3, "belief": 0.992, "machine": [0.5, 0.5]}, 0.992),
        ("person", {"verdict": True, "belief": 0.4}, 1.0),  # the belief is the question's, from before
        ("person", {"act": "describe"}, 1.0),
    ],
)
def test_how_far_a_label_is_believed_follows_from_its_evidence(by, evidence, believed):
    assert releases.confidence(by, evidence) == believed


def test_votes_are_kept_as_shares_and_ages_with_their_deviation():
    face = a_labelled_face()
    says(face, "emotion", "happy", detail={"votes": {"happy": 6, "sad": 2, "cannot_tell": 2}})
    says(face, "real_age", "30.50", detail={"low": 30.0, "high": 31.0})
    says(face, "apparent_age", "33.10", detail={"deviation": 4.2, "guesses": 10})

    labels = rows(released())[face.pk].labels

    assert labels["emotion"].distribution == (0, 0, 0, 0.75, 0, 0.25, 0)
    assert labels["real_age"].value == 30.5
    assert labels["real_age"].deviation == pytest.approx(1 / 12**0.5)
    assert (labels["apparent_age"].value, labels["apparent_age"].deviation) == (33.1, 4.2)


def test_who_could_not_be_told_is_known_to_be_so_but_is_no_reason_to_be_in_it():
    face = says(a_labelled_face(), "emotion", "cannot_tell")
    with_picture(says(a_face(), "emotion", "cannot_tell"))

    found = rows(released())

    assert set(found) == {face.pk}
    assert found[face.pk].labels["emotion"].value is None
    assert found[face.pk].labels["emotion"].decided_by == "import"


def test_one_of_each_group_of_duplicates_is_in_it_even_if_another_s_rights_are_missing():
    original = a_labelled_face()
    copy = a_labelled_face(duplicate_of=original)
    hidden = a_labelled_face(a_source(licence=""))
    visible = a_labelled_face(duplicate_of=hidden)

    assert set(releases.plan(ReleaseQuery()).faces.tolist()) == {original.pk, visible.pk}
    both = releases.plan(ReleaseQuery(with_duplicates=True))
    assert set(both.faces.tolist()) == {original.pk, copy.pk, visible.pk}
    assert both.group[both.faces == copy.pk] == both.group[both.faces == original.pk] == original.pk


# ---- parts


def test_people_duplicates_and_photos_stay_together_through_whatever_chain():
    some_labelled(40)
    photo = a_photo()
    one, other = a_face(photo), a_face(photo, number=1, chosen=False)
    third, fourth = a_face(), a_face()
    for face in (one, other, third, fourth):
        with_picture(says(face))
    a_person([other, third])
    Photo.objects.filter(pk=fourth.photo_id).update(duplicate_of=third.photo)

    release = released()

    chain = [rows(release)[face.pk] for face in (one, other, third, fourth)]
    assert len({row.split for row in chain}) == 1
    assert {row.group for row in chain} == {one.pk}
    assert release.counts["largest_group"] == 4


def test_the_splits_have_their_shares_of_each_value():
    some_labelled(80)

    release = released(attributes=["gender"])

    assert release.counts["splits"] == {"train": 56, "validation": 12, "test": 12}
    assert release.counts["attributes"]["gender"]["test"] == {"female": 6, "male": 6}


def test_the_test_only_grows():
    some_labelled(40)
    first = released()
    some_labelled(40)

    second = released("second")

    before, after = splits(first), splits(second)
    assert {face: after[face] for face in before} == before
    assert second.counts["splits"] == {"train": 56, "validation": 12, "test": 12}
    assert second.predecessor == first
    assert second.changes["added"]["count"] == 40
    assert second.changes["test_only_grew"]


def test_another_query_has_the_same_faces_in_the_test():
    some_labelled(40)
    first = released()
    for face in Face.objects.all()[:20]:
        says(face, "emotion", "happy")

    second = released("emotions", attributes=["emotion"], seed=9, shares={"train": 1.0, "validation": 0, "test": 0})

    assert splits(second) == {face: splits(first)[face] for face in splits(second)}


def test_somebody_new_who_is_somebody_in_the_test_is_in_the_test_though_that_face_is_not_asked_for():
    faces = some_labelled(40)
    before = splits(released())
    held = next(face for face in faces if before[face.pk] == "test")
    new = with_picture(says(a_face(width=200.0, height=200.0)))
    a_person([held, new])

    second = released("large", min_size=150)

    assert splits(second) == {new.pk: "test"}


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_merged_split_or_undone_a_test_face_never_comes_to_be_learnt_from(seed):
    chance, by = random.Random(seed), a_user()
    faces = [face.pk for face in some_labelled(40)]
    acts, tested = list[Answer](), set[int]()
    for round_ in range(5):
        for _ in range(6):
            known = list(Identity.objects.filter(merged_into=None, face_count__gt=0))
            what = chance.choice(["assign", "merge", "split", "undo"])
            try:
                if what == "assign":
                    acts.append(people.assign(face_ids=chance.sample(faces, 3), identity_id=None, by=by))
                elif what == "merge" and len(known) > 1:
                    one, other = chance.sample(known, 2)
                    acts.append(people.merge(identity_ids=[one.pk], into_id=other.pk, by=by))
                elif what == "split" and known:
                    person = chance.choice(known)
                    theirs = list(person.labels.values_list("face_id", flat=True))
                    acts.append(people.split(identity_id=person.pk, face_ids=theirs[:1], by=by))
                elif acts:
                    answers.undo_answer(answer_id=acts.pop(chance.randrange(len(acts))).pk, by=by)
            except AnnotationError:
                continue  # what cannot be done any more
        asked = chance.choice([{}, {"attributes": ["gender"]}, {"seed": round_}, {"shares": OTHER_SHARES}])
        given = splits(released(f"round {round_}", **asked))
        assert {given[face] for face in tested & set(given)} <= {"test"}
        tested |= {face for face, split in given.items() if split == "test"}
    assert tested


def test_of_two_who_turn_out_to_be_one_the_test_keeps_both_and_says_so():
    some_labelled(40)
    first = released()
    parts = splits(first)
    one = next(face for face, part in parts.items() if part == "test")
    other = next(face for face, part in parts.items() if part == "train")
    a_person(list(Face.objects.filter(pk__in=[one, other])))

    second = released("second")

    assert splits(second)[other] == "test"
    assert second.counts["moved_to_test"] == 1
    assert second.changes["moved"] == {"train → test": {"count": 1, "faces": [other]}}
    assert Face.objects.get(pk=other).split == "test"


def test_faces_that_a_cluster_takes_for_one_person_go_together_but_are_no_group():
    faces = some_labelled(60)
    a_run()
    for n in range(0, 60, 3):
        a_cluster(faces[n : n + 3])

    found = rows(released())

    for n in range(0, 60, 3):
        assert len({found[face.pk].split for face in faces[n : n + 3]}) == 1
    assert {row.group for row in found.values()} == set(found)


def test_a_guess_moves_nobody_who_has_a_part_and_new_faces_follow_it():
    faces = some_labelled(40)
    before = splits(released())
    test = next(face for face in faces if before[face.pk] == "test")
    train = next(face for face in faces if before[face.pk] == "train")
    new = a_labelled_face()
    a_run()
    a_cluster([test, train, new])

    after = splits(released("second"))

    assert {face: after[face] for face in before} == before
    assert after[new.pk] == "test"


def test_a_huge_cluster_does_not_swallow_a_split():
    faces = some_labelled(120)
    a_run()
    a_cluster(faces)

    assert released().counts["splits"] == {"train": 84, "validation": 18, "test": 18}


def test_a_preview_of_many_is_estimated_from_some_of_them(monkeypatch):
    some_labelled(80)
    assert releases.preview(ReleaseQuery()) == releases.plan(ReleaseQuery()).counts | {"one_in": 1, "warnings": []}
    monkeypatch.setattr(releases, "PREVIEWED", 40)

    told = releases.preview(ReleaseQuery(attributes=("gender",)))

    assert (told["one_in"], told["faces"]) == (2, 80)
    assert told["splits"] == {"train": 56, "validation": 12, "test": 12}


# ---- balance


def aged(years: float, count: int) -> None:
    for _ in range(count):
        says(with_picture(a_face()), "real_age", f"{years:.2f}", detail={"low": years, "high": years + 1})


def test_a_cap_leaves_out_of_the_training_part_what_there_is_enough_of():
    aged(30, 40)
    aged(75, 5)
    whole = releases.plan(ReleaseQuery())

    capped = releases.plan(ReleaseQuery(cap_per_age=10))

    def count(plan: releases.Plan, part: int) -> int:
        return int((plan.split == part).sum())

    assert capped.counts["attributes"]["real_age"]["train"] == {"30": 10, "75": count(whole, 0) - 28}
    assert [count(capped, part) for part in (1, 2)] == [count(whole, part) for part in (1, 2)]
    assert capped.capped == 18


def test_it_says_who_decided_whom_a_face_shows():
    face, unknown = a_labelled_face(), a_labelled_face()
    a_person([face], "ann")

    found = rows(release := released())

    line = face.label.decision
    told = found[face.pk]
    assert (told.identity_decided_by, told.identity_confidence, told.identity_decision) == ("person", 1.0, line.pk)
    assert found[unknown.pk].identity_decided_by is None
    assert "Who they are is decided by: person 1." in (releases.folder_of(release) / "DATASHEET.md").read_text()


def in_the_slice(drawn: bool) -> Face:
    """A face that chance draws for half of all, or does not."""
    keys = (f"{number:064x}" for number in itertools.count(10**9 + Photo.objects.count() * 100))
    sha256 = next(each for each in keys if in_control_slice(face_key(each, 0), 0.5) == drawn)
    return with_picture(a_face(a_photo(sha256=sha256), number=0))


def test_it_says_who_is_of_the_control_slice_and_of_whom_an_answer_about_it_tells(settings):
    settings.CONTROL_SHARE = 0.5
    drawn, stands, beside, other, third, not_drawn = map(in_the_slice, (True, True, False, False, True, False))
    says(drawn), says(not_drawn)
    for person, (one, another) in {"ann": (stands, beside), "bea": (other, third)}.items():
        a_person([one, another], person)
        a_proposal(one, [0.9, 0.1])
        a_proposal(another, [0.9, 0.1], stands=False)
        says(one), says(another)

    found = {face: row.control for face, row in rows(released()).items()}

    # Of bea a face is asked about that is not drawn, and of ann's one answer the truth about both.
    assert [found[face.pk] for face in (drawn, stands, beside)] == [True] * 3
    assert [found[face.pk] for face in (not_drawn, other, third)] == [False, False, True]


def test_a_duplicate_of_a_face_of_the_control_slice_is_of_it_too(settings):
    settings.CONTROL_SHARE = 0.5
    drawn, copy, hidden, visible = map(in_the_slice, (True, False, True, False))
    Source.objects.filter(pk=hidden.photo.source_id).update(licence="")
    for original, other in ((drawn, copy), (hidden, visible)):
        Face.objects.filter(pk=other.pk).update(duplicate_of=original)
        says(original)

    found = {face: row.control for face, row in rows(released(with_duplicates=True)).items()}

    assert found == {drawn.pk: True, copy.pk: True, visible.pk: True}


def test_a_preview_does_not_look_for_the_people_of_the_control_slice(monkeypatch):
    some_labelled(2)
    monkeypatch.setattr(releases, "_control_people", lambda: pytest.fail("it takes 20 s of a million faces"))

    assert releases.preview(ReleaseQuery())["faces"] == 2


def test_weights_make_ages_even_in_training_only():
    aged(30, 40)
    aged(75, 4)

    found = rows(released(balance="weights"))

    def weights(age: float) -> list[float]:
        return [row.weight for row in found.values() if row.labels["real_age"].value == age and row.split == "train"]

    assert sum(weights(30)) == pytest.approx(sum(weights(75)))
    assert {row.weight for row in found.values() if row.split != "train"} == {1.0}


# ---- made


def test_a_name_that_is_taken_or_cannot_be_and_a_query_that_asks_for_what_is_not_are_refused():
    a_labelled_face()
    released()

    for name, query, error, said in [
        ("first", {}, ReleaseExists, "never edited"),
        ("a/b", {}, BadReleaseQuery, "no slash"),
        ("", {}, BadReleaseQuery, "blank"),
        ("r", {"sources": ["nowhere"]}, BadReleaseQuery, "no source 'nowhere'"),
        ("r", {"atributes": []}, BadReleaseQuery, "Did you mean"),
        ("r", {"min_size": 5_000}, BadReleaseQuery, "No labelled face"),
    ]:
        with pytest.raises(error, match=said):
            releases.create_release(name=name, query=query, by=None)


def test_building_twice_is_building_once():
    some_labelled(4)
    release = released()
    folder = releases.folder_of(release)
    when = (folder / "release.json").stat().st_mtime_ns

    releases.build(release.pk)

    assert (folder / "release.json").stat().st_mtime_ns == when


def test_one_that_another_worker_has_in_hand_is_left_alone():
    some_labelled(4)
    one, other = (releases.create_release(name=name, query={}, by=None) for name in ("one", "other"))
    Release.objects.filter(pk=one.pk).update(state="building", claimed_until=timezone.now() + timedelta(minutes=1))

    releases.build(one.pk)
    releases.build(other.pk)

    assert set(Release.objects.values_list("name", "state")) == {("one", "building"), ("other", "waiting")}


def test_the_sweep_finds_one_that_waits_or_whose_worker_is_gone_and_none_other(monkeypatch):
    some_labelled(2)
    one, other, done = (releases.create_release(name=name, query={}, by=None) for name in ("one", "other", "done"))
    releases.build(done.pk)
    sent = list[int]()
    monkeypatch.setattr(tasks.build_release, "delay", sent.append)
    monkeypatch.setattr(tasks, "feed_belt", lambda: None)

    tasks.sweep()
    Release.objects.filter(pk=one.pk).update(state="building", claimed_until=timezone.now() + timedelta(minutes=1))
    tasks.sweep()
    Release.objects.filter(pk=one.pk).update(claimed_until=timezone.now() - timedelta(minutes=1))
    tasks.sweep()

    assert sent == [one.pk, other.pk, one.pk]


def test_after_a_kill_half_way_nothing_half_is_left_and_the_next_worker_builds_it(monkeypatch):
    some_labelled(10)
    asked = releases.create_release(name="r", query={}, by=None)

    def killed(*args: object, **options: object):
        yield from real(*args, **options)
        raise SystemExit  # as a kill would, no error is written down

    real = releases.rows_of
    monkeypatch.setattr(releases, "rows_of", killed)
    with pytest.raises(SystemExit):
        releases.build(asked.pk)
    left = releases.folder_of(asked).parent / f".{releases.folder_of(asked).name}-killed"
    left.mkdir()
    monkeypatch.setattr(releases, "rows_of", real)
    assert not releases.folder_of(asked).exists()

    releases.build(asked.pk, now=timezone.now() + timedelta(hours=1))

    asked.refresh_from_db()
    assert asked.state == "done"
    assert [path.name for path in left.parent.iterdir()] == [asked.folder]


def test_a_worker_killed_just_after_the_folder_was_there_costs_nothing(monkeypatch):
    some_labelled(4)
    release = released()
    Release.objects.filter(pk=release.pk).update(state="building", checksum="", claimed_until=None)
    Face.objects.update(split="")

    releases.build(release.pk)

    again = Release.objects.get(pk=release.pk)
    assert (again.state, again.checksum) == ("done", release.checksum)
    assert not Face.objects.filter(split="").exists()


def test_a_folder_of_another_database_is_never_taken_for_ours():
    some_labelled(4)
    release = released()
    Release.objects.filter(pk=release.pk).update(state="waiting", created_at=timezone.now() - timedelta(days=1))

    releases.build(release.pk)

    failed = Release.objects.get(pk=release.pk)
    assert failed.state == "failed"
    assert "holds another release" in failed.error
    with pytest.raises(ReleaseNotDone, match="Freeze another one"):
        releases.opened(failed)


def test_a_face_whose_picture_is_lost_is_left_out_and_named():
    kept, lost = some_labelled(2)
    default_storage.delete(lost.crop_key)

    release = released()

    assert set(rows(release)) == {kept.pk}
    assert releases.opened(release).description.notes["without_picture"] == [lost.pk]
    assert str(lost.pk) in (releases.folder_of(release) / "DATASHEET.md").read_text()


def test_rights_withdrawn_while_it_is_built_are_respected(monkeypatch):
    source = a_source()
    kept, gone = a_labelled_face(), a_labelled_face(source)
    planned = releases.plan(ReleaseQuery())
    intake.state_rights(source_id=source.pk, licence="", legal_basis="", retention_until=None, by=None)

    assert [row.face for row in releases.rows_of(ReleaseQuery(), planned, [])] == [kept.pk]
    assert gone.pk in planned.faces


def test_the_datasheet_says_who_labelled_which_rights_and_which_filters(settings):
    settings.CONTROL_SHARE = 1.0
    a_labelled_face(a_source("A | [b](http://evil)"))
    release = releases.create_release(name="r", query={"attributes": ["gender"]}, purpose="To learn.", by=a_user())
    releases.build(release.pk)

    text = (releases.folder_of(release) / "DATASHEET.md").read_text()

    assert "To learn." in text
    assert "Decided by: import 1." in text
    assert r"A \| \[b\](http://evil) | CC0-1.0 | drawn | 1 |" in text
    assert "| attributes | gender |" in text
    assert "1 faces are of the control slice" in text


# ---- checked, erased


def test_a_damaged_release_is_found_and_written_down():
    some_labelled(4)
    release = released()
    assert releases.verify(release) == ""
    path = releases.folder_of(release) / "faces/00000.parquet"
    content = bytearray(path.read_bytes())
    content[1_000] ^= 1
    path.write_bytes(content)

    damage = releases.verify(release)

    release.refresh_from_db()
    assert "damaged" in damage
    assert release.damage == damage
    path.unlink()
    with pytest.raises(ReleaseDamaged, match="missing"):
        releases.opened(release)


def test_a_photo_erased_later_is_listed_in_every_release_that_had_it_and_in_no_other():
    faces = some_labelled(6)
    first = released()
    second = released("second", min_size=10)
    third = released("third", attributes=["gender"], seed=3)
    says(with_picture(a_face(a_photo())), "emotion", "sad")
    other = released("other", attributes=["emotion"])
    photo = faces[2].photo

    assert releases.holding(photo) == [first, second, third]
    assert releases.mark_erased(photo) == [first, second, third]
    releases.mark_erased(photo)

    assert [(each.sha256, each.faces) for each in first.erasures.all()] == [(photo.sha256, [faces[2].pk])]
    assert not other.erasures.exists()
    with pytest.raises(ReleaseHasErased, match="Freeze a new one"):
        releases.for_export(first)
    assert releases.for_export(other).id == other.checksum


def test_a_photo_erased_while_a_release_is_built_is_marked_in_it(monkeypatch):
    faces = some_labelled(3)
    finish, admin = releases._finish, a_user(role="admin")

    def erased_first(*given: object) -> None:
        asked = erasure.request(kind="photo", ids=[faces[0].photo_id], reason="x", by=admin)
        assert erasure.carry_out(asked.pk).state == "done"
        finish(*given)

    monkeypatch.setattr(releases, "_finish", erased_first)
    release = released()

    assert release.state == "done"
    [mark] = release.erasures.all()
    assert mark.faces == [faces[0].pk]
    with pytest.raises(ReleaseHasErased):
        b"".join(releases.tar(release, "csv"))


def test_nobody_can_say_that_a_lost_release_did_not_hold_it():
    photo = some_labelled(2)[0].photo
    release = released()
    (releases.folder_of(release) / "release.json").unlink()

    assert releases.holding(photo) == [release]


def test_models_of_a_release_are_found_by_its_id():
    some_labelled(2)
    first, second = released(), released("second", min_size=10)
    version = a_version(name="of both", release_ids=f"{first.checksum} {second.checksum}", state="candidate")
    a_version(name="of none", state="candidate")

    assert list(releases.models_of(first)) == list(releases.models_of(second)) == [version]
    assert not releases.models_of(Release(name="waiting", query={})).exists()


def test_two_releases_are_compared():
    some_labelled(4)
    first = released()
    some_labelled(2)
    second = released("second")

    found = releases.compare(first, second)

    assert (found.kept, found.added.count) == (4, 2)


def test_reading_a_picture_back_is_reading_the_kept_crop():
    face = a_labelled_face()

    image = rows(released())[face.pk].image

    with default_storage.open(face.crop_key) as file:
        assert io.BytesIO(image).read() == file.read()
