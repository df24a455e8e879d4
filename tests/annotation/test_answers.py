from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from annotation import conflicts, labels, people
from annotation.answers import record_answer, settle_kept, undo_answer
from annotation.errors import BadAct, BadAnswer, LedgerIsAppendOnly, NotUndoable, QuestionClosed, QuestionHeld
from annotation.models import Answer, Cluster, Decision, Face, Identity, Label, Question, User
from annotation.queue import take_next
from tests.factories import (
    a_cluster,
    a_face,
    a_grid,
    a_pair,
    a_photo,
    a_question,
    a_single,
    a_source,
    a_user,
    an_annotator,
)

pytestmark = pytest.mark.django_db


def answer(question: Question, who=None, client_id=None, **content) -> Answer:
    return record_answer(
        question_id=question.pk,
        annotator=who or an_annotator(),
        client_id=client_id or uuid4(),
        content={"verdict": "one_person"} | content,
    )


def identities_of(question: Question) -> list[int | None]:
    return [
        Label.objects.filter(face=face).values_list("identity_id", flat=True).first() for face in question.faces.all()
    ]


def test_confirming_a_cluster_makes_its_faces_one_person():
    question = a_question(3)

    said = answer(question, name="Ada")

    question.refresh_from_db()
    assert question.state == "settled"
    person = Identity.objects.get()
    assert person.name == "Ada"
    assert identities_of(question) == [person.pk] * 3
    assert said.actions == 2
    assert question.cluster.__class__.objects.get(pk=question.cluster_id).identity == person


def test_a_marked_face_is_left_out_and_may_not_join_that_person():
    faces = [a_face() for _ in range(3)]
    question = a_question(faces)

    said = answer(question, marks={str(faces[1].pk): "other"})

    assert [hasattr(Face.objects.get(pk=face.pk), "label") for face in faces] == [True, False, True]
    line = Decision.objects.get(kind="cannot_link")
    assert (line.face, line.identity) == (faces[1], Identity.objects.get())
    assert said.actions == 2


def test_marked_faces_can_be_one_other_person():
    faces = [a_face() for _ in range(4)]
    question = a_question(faces)

    answer(question, marks={faces[0].pk: "other", faces[1].pk: "other"}, marked_are_one=True)

    one, other = Label.objects.get(face=faces[0]).identity, Label.objects.get(face=faces[2]).identity
    assert one != other
    assert Label.objects.get(face=faces[1]).identity == one
    assert Decision.objects.filter(kind="cannot_link", identity=one, other_identity=other).exists()


def test_marks_say_that_it_is_no_face_or_that_nobody_can_tell():
    faces = [a_face() for _ in range(3)]
    answer(a_question(faces), marks={faces[0].pk: "not_a_face", faces[1].pk: "cannot_tell"})

    assert [Label.objects.get(face=face).verdict for face in faces] == ["not_a_face", "cannot_tell", "identity"]


def test_the_second_page_of_a_cluster_is_the_same_person():
    faces = [a_face() for _ in range(4)]
    cluster = a_cluster(faces)
    answer(a_question(faces[:2], cluster=cluster))
    answer(a_question(faces[2:], cluster=Cluster.objects.get(pk=cluster.pk)))

    assert Identity.objects.count() == 1
    assert Label.objects.filter(identity=Identity.objects.get()).count() == 4


def test_a_duplicate_photos_face_has_the_label_of_the_one_that_stands_for_it():
    face = a_face()
    twin = a_face(duplicate_of=face)
    question = a_question([face])

    said = answer(question)

    assert Label.objects.get(face=twin).identity == Label.objects.get(face=face).identity
    undo_answer(answer_id=said.pk, by=said.annotator)
    assert not Label.objects.exists()


def test_the_same_client_id_twice_is_one_answer():
    question, who, client_id = a_question(), an_annotator(), uuid4()
    first = answer(question, who, client_id)
    again = answer(question, who, client_id)

    assert first == again
    assert Decision.objects.filter(kind="label").count() == 3


def test_a_settled_question_takes_no_second_answer():
    question = a_question()
    answer(question)
    with pytest.raises(QuestionClosed, match="settled"):
        answer(question)


def test_a_question_in_somebody_elses_hands_is_not_answered():
    question = a_question(leased_to=an_annotator(), leased_until=timezone.now() + timedelta(minutes=1))
    with pytest.raises(QuestionHeld):
        answer(question)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"verdict": "maybe"}, "verdict"),
        ({"marks": {"99999": "other"}}, "99999"),
        ({"marks": ["1"]}, "marks"),
        ({"name": "x" * 301}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"marked_are_one": True}, "marked_are_one"),
        ({"verdict": ["one_person"]}, "verdict"),
    ],
)
def test_a_malformed_answer_is_refused_and_changes_nothing(content, named):
    question = a_question()
    with pytest.raises(BadAnswer, match=named):
        answer(question, **content)
    assert not Answer.objects.exists()
    assert Question.objects.get().state == "open"


def test_faces_settled_elsewhere_meanwhile_keep_that_word():
    faces = [a_face() for _ in range(2)]
    question = a_question(faces)
    curator = a_user()
    people.not_a_face(face_ids=[faces[0].pk], by=curator)

    answer(question)

    assert [Label.objects.get(face=face).verdict for face in faces] == ["not_a_face", "identity"]
    assert Label.objects.get(face=faces[0]).decision.person == curator


def test_settled_faces_leave_other_open_questions():
    faces = [a_face() for _ in range(2)]
    question = a_question(faces)
    people.not_a_face(face_ids=[faces[0].pk], by=a_user())
    assert list(question.faces.all()) == [faces[1]]
    people.not_a_face(face_ids=[faces[1].pk], by=a_user())
    question.refresh_from_db()
    assert question.state == "withdrawn"


def test_in_two_tabs_one_person_has_one_voice():
    question, annotator, _ = a_single(attribute="apparent_age"), an_annotator("ann"), an_annotator("bob")
    answer(question, annotator, verdict="value", value=30)
    question.refresh_from_db()
    assert question.state == "open"  # one voice does not settle it

    with pytest.raises(QuestionClosed, match="another tab"):
        answer(question, annotator, verdict="value", value=40)
    assert [each.content["value"] for each in question.answers.all()] == ["30"]


def test_a_skip_settles_nothing():
    question, who = a_question(), an_annotator()
    answer(question, who, verdict="skip")
    question.refresh_from_db()
    assert question.state == "open"
    assert not Decision.objects.exists()


def test_who_skipped_it_may_answer_after_all():
    question, annotator = a_question(3), an_annotator()
    answer(question, annotator, verdict="skip")

    answer(question, annotator)

    question.refresh_from_db()
    assert question.state == "settled"
    assert Answer.objects.filter(undone_at=None).count() == 1


def test_taking_back_a_skip_leaves_what_others_settled():
    question, annotator = a_question(3), an_annotator()
    skipped = answer(question, annotator, verdict="skip")
    answer(question)

    undo_answer(answer_id=skipped.pk, by=annotator)

    question.refresh_from_db()
    assert question.state == "settled"


def test_cannot_tell_is_kept_for_each_face():
    question = a_question(2)
    answer(question, verdict="cannot_tell")
    assert set(Label.objects.values_list("verdict", flat=True)) == {"cannot_tell"}


def test_undoing_an_answer_takes_its_labels_back_and_asks_again():
    question, who = a_question(), an_annotator()
    said = answer(question, who, name="Ada")

    undo_answer(answer_id=said.pk, by=who)

    question.refresh_from_db()
    assert question.state == "open"
    assert not Label.objects.exists()
    assert Identity.objects.get().name == ""
    assert Decision.objects.filter(kind="undo").count() == 4  # three labels and a name; all eight lines stay
    assert Decision.objects.count() == 8
    answer(question, who)
    assert Label.objects.count() == 3


def test_an_answer_is_undone_once_and_by_its_author_or_a_curator():
    said = answer(a_question())
    with pytest.raises(NotUndoable, match="no answer"):
        undo_answer(answer_id=said.pk, by=an_annotator())
    undo_answer(answer_id=said.pk, by=a_user())
    with pytest.raises(NotUndoable, match="before"):
        undo_answer(answer_id=said.pk, by=a_user())


def test_whoever_is_no_curator_any_more_takes_back_their_answers_and_none_of_their_acts():
    curator, question = a_user(), a_question()
    said = answer(question, curator)
    act = people.rename(identity_id=Identity.objects.get().pk, name="Ada", by=curator)
    curator.role = "annotator"
    with pytest.raises(NotUndoable, match="no answer"):
        undo_answer(answer_id=act.pk, by=curator)
    undo_answer(answer_id=said.pk, by=curator)


def a_person(faces: int = 2) -> Identity:
    question = a_question(faces)
    answer(question)
    return Label.objects.get(face=question.faces.first()).identity


def test_the_same_person_twice_is_merged_into_the_older_one_and_can_be_parted_again():
    one, other = a_person(), a_person()
    said = answer(a_pair(one, other), verdict="same")

    assert set(Label.objects.values_list("identity", flat=True)) == {one.pk}
    other.refresh_from_db()
    assert other.merged_into == one
    undo_answer(answer_id=said.pk, by=said.annotator)
    assert set(Label.objects.values_list("identity", flat=True)) == {one.pk, other.pk}


def test_against_the_machine_a_merge_takes_two_people_and_undoing_either_parts_them():
    one, other = a_person(), a_person()
    ann, bob = an_annotator(), an_annotator()
    pair = a_pair(one, other, belief=0.2)

    answer(pair, ann, verdict="same")
    pair.refresh_from_db()
    assert pair.state == "open"
    assert not Decision.objects.filter(kind="merge").exists()
    assert pair not in take_next(ann, kind="pair")

    answer(pair, bob, verdict="same")
    pair.refresh_from_db()
    assert pair.state == "settled"
    assert set(Label.objects.values_list("identity", flat=True)) == {one.pk}

    undo_answer(answer_id=pair.answers.get(annotator=ann).pk, by=ann)
    pair.refresh_from_db()
    assert pair.state == "open"
    assert set(Label.objects.values_list("identity", flat=True)) == {one.pk, other.pk}


def test_of_a_pair_what_is_no_face_is_marked_and_each_answer_takes_back_its_own_marks():
    one, other = a_person(3), a_person()
    ann, bob = an_annotator(), an_annotator()
    pair = a_pair(one, other, belief=0.2)
    house, statue = (one.labels.order_by("face")[place].face for place in (0, 1))

    said = answer(pair, ann, verdict="same", marks={str(house.pk): "not_a_face"})
    assert (said.actions, said.content["marks"]) == (2, {str(house.pk): "not_a_face"})
    assert Label.objects.get(face=house).verdict == "not_a_face"  # one word is enough, as on any other page
    assert not Decision.objects.filter(kind="merge").exists()
    answer(pair, bob, verdict="same", marks={str(statue.pk): "not_a_face"})
    assert set(Label.objects.filter(identity__isnull=False).values_list("identity", flat=True)) == {one.pk}

    undo_answer(answer_id=said.pk, by=ann)  # what both settled is open again; what only Bob said stands
    assert Label.objects.get(face=house).identity == one
    assert Label.objects.get(face=statue).verdict == "not_a_face"
    assert set(Label.objects.filter(identity__isnull=False).values_list("identity", flat=True)) == {one.pk, other.pk}


def test_an_answer_tells_nothing_of_faces_of_sources_that_one_does_not_see():
    elsewhere, source, ann = a_person().labels.first().face_id, a_source(), an_annotator()
    ann.restricted = True
    ann.save()
    ann.sources.set([source])
    own = [a_face(a_photo(source)) for _ in range(2)]
    for asked, verdict in ((a_question(own), "one_person"), (a_grid(own), "marked")):
        with pytest.raises(BadAnswer) as labelled:
            answer(asked, ann, verdict=verdict, marks={str(elsewhere): "cannot_tell"})
        with pytest.raises(BadAnswer) as unknown:
            answer(asked, ann, verdict=verdict, marks={"999999": "cannot_tell"})
        assert str(labelled.value).replace(str(elsewhere), "999999") == str(unknown.value)


def test_a_curator_who_decides_anew_takes_back_what_they_marked_before():
    one, curator = a_person(2), a_user()
    pair, face = a_pair(one, a_person(), belief=0.2), one.labels.first().face
    an_annotator()
    answer(pair, curator, verdict="same", marks={str(face.pk): "not_a_face"})
    conflicts.decide(question_id=pair.pk, content={"verdict": "different"}, by=curator)
    assert Label.objects.get(face=face).identity == one


def test_a_pair_of_which_nothing_is_left_to_compare_is_not_asked_again():
    one, other, ann, bob = a_person(), a_person(), an_annotator(), an_annotator()
    pair = a_pair(one, other, belief=0.9)
    said = answer(pair, bob, verdict="different")
    marks = {str(label.face_id): "not_a_face" for label in other.labels.all()}
    answer(pair, ann, verdict="different", marks=marks)
    undo_answer(answer_id=said.pk, by=bob)
    pair.refresh_from_db()
    assert pair.state == "settled"


def test_of_a_pair_only_faces_of_the_two_are_marked():
    pair, stranger = a_pair(a_person(), a_person()), a_person().labels.first().face
    with pytest.raises(BadAnswer, match=f"face '{stranger.pk}', which this question does not show"):
        answer(pair, verdict="same", marks={str(stranger.pk): "not_a_face"})
    with pytest.raises(BadAnswer, match="must be one of not_a_face"):
        answer(pair, verdict="same", marks={str(pair.identity.labels.first().face_id): "other"})


def test_a_pair_of_which_one_shows_no_face_at_all_is_settled_without_a_word_about_who_it_is():
    one, other = a_person(), a_person()
    pair = a_pair(one, other, belief=0.2)
    marks = {str(label.face_id): "not_a_face" for label in other.labels.all()}
    answer(pair, an_annotator(), verdict="same", marks=marks)
    pair.refresh_from_db()
    assert pair.state == "settled"
    assert not Decision.objects.filter(kind="merge").exists()


def test_of_a_pair_what_is_kept_is_settled_where_the_last_answer_with_marks_is_the_last_one_left():
    pair = a_pair(a_person(3), a_person(), belief=0.9)
    ann, bob, _ = an_annotator(), an_annotator(), an_annotator()
    house = pair.identity.labels.first().face
    answer(pair, ann, verdict="different", marks={str(house.pk): "not_a_face"})
    content = {"verdict": "same"}
    later = record_answer(question_id=pair.pk, annotator=bob, client_id=uuid4(), content=content, settle_later=True)
    undo_answer(answer_id=later.pk, by=bob)

    settle_kept()

    pair.refresh_from_db()
    assert (pair.state, pair.leased_until) == ("open", None)
    assert Decision.objects.filter(kind="not_a_face").count() == 1


def test_a_mark_on_a_face_that_somebody_settled_meanwhile_loses_no_answer():
    gone, elsewhere = (a_face() for _ in range(2))
    together = [gone, a_face(), a_face()]
    cluster, grid = a_question(together, cluster=a_cluster(together)), a_grid([gone, a_face()])
    one, other = a_person([elsewhere, a_face(), a_face()]), a_person()
    pair, curator = a_pair(one, other), a_user()
    people.not_a_face(face_ids=[gone.pk], by=curator)
    people.split(identity_id=one.pk, face_ids=[elsewhere.pk], by=curator)

    answer(cluster, marks={str(gone.pk): "other"})
    answer(grid, verdict="marked", marks={str(gone.pk): "male"})
    answer(pair, curator, verdict="different", marks={str(elsewhere.pk): "not_a_face"})

    assert set(Question.objects.filter(pk__in=[cluster.pk, pair.pk]).values_list("state", flat=True)) == {"settled"}
    assert not any(each.content["marks"] for each in Answer.objects.filter(question__in=[cluster, grid, pair]))
    assert Label.objects.get(face=elsewhere).verdict == "identity"  # the curator's word stands
    assert not Decision.objects.filter(answer__question=cluster, face=gone).exists()


def test_whoever_has_no_face_left_is_compared_no_more():
    nobody, others = a_person(), [a_person(), a_person()]
    pairs = [a_pair(nobody, other) for other in others]
    held = a_pair(nobody, a_person())
    (held_by, ann), held.leased_until = (an_annotator(), an_annotator()), timezone.now() + timedelta(minutes=1)
    held.leased_to = held_by
    held.save()

    marks = {str(label.face_id): "not_a_face" for label in nobody.labels.all()}
    answer(pairs[0], ann, verdict="same", marks=marks)
    answer(held, held_by, verdict="same")

    assert set(Question.objects.filter(kind="pair").values_list("pk", "state")) == {
        (pairs[0].pk, "settled"),
        (held.pk, "settled"),
    }
    assert not Decision.objects.filter(kind="merge").exists()


@pytest.mark.parametrize("act", ["split", "remove", "assign"])
def test_whose_faces_all_went_elsewhere_is_compared_no_more(act: str):
    curator, somebody = a_user(), a_person()
    gone, stays = a_pair(somebody, a_person()), a_pair(a_person(), a_person())
    faces = list(somebody.labels.values_list("face_id", flat=True))
    whose = {"identity_id": None if act == "assign" else somebody.pk}
    getattr(people, act)(face_ids=faces[:1], by=curator, **whose)
    assert Question.objects.filter(pk=gone.pk).exists()
    getattr(people, act)(face_ids=faces[1:], by=curator, **whose)
    assert not Question.objects.filter(pk=gone.pk).exists()
    assert Question.objects.filter(pk=stays.pk).exists()


def test_a_pair_that_nobody_else_could_answer_is_settled_at_once():
    one, other = a_person(), a_person()
    User.objects.all().update(is_active=False)
    answer(a_pair(one, other, belief=0.2), verdict="same")
    assert set(Label.objects.values_list("identity", flat=True)) == {one.pk}


def test_pairs_that_a_merge_answers_are_asked_no_more():
    one, two, three, four = (a_person() for _ in range(4))
    curator = a_user()
    answer(a_pair(one, four), curator, verdict="different")
    again, known, apart, other = a_pair(one, two), a_pair(one, three), a_pair(two, four), a_pair(two, three)

    answer(again, curator, verdict="same")  # now one and two are one: the pairs with three are the same question

    left = Question.objects.filter(kind="pair", state="open")
    assert set(left) == {known}
    assert not Question.objects.filter(pk__in=[apart.pk, other.pk], state="open").exists()


def test_a_merge_can_be_undone_after_later_merges():
    one, two, three = a_person(), a_person(), a_person()
    curator = a_user()
    first = people.merge(identity_ids=[two.pk], into_id=one.pk, by=curator)
    people.merge(identity_ids=[one.pk], into_id=three.pk, by=curator)
    assert set(Label.objects.values_list("identity", flat=True)) == {three.pk}

    undo_answer(answer_id=first.pk, by=curator)

    assert set(Label.objects.values_list("identity", flat=True)) == {two.pk, three.pk}


def test_different_people_may_not_be_linked():
    one, other = a_person(), a_person()
    answer(a_pair(one, other, belief=0.2), verdict="different")
    assert Decision.objects.filter(kind="cannot_link", identity=one, other_identity=other).exists()


def test_a_merged_person_keeps_the_name_that_is_known():
    one, other = a_person(), a_person()
    curator = a_user()
    people.rename(identity_id=other.pk, name="Ada", by=curator)
    people.merge(identity_ids=[other.pk], into_id=one.pk, by=curator)
    one.refresh_from_db()
    assert one.name == "Ada"


def test_split_and_remove_move_only_their_faces():
    person, curator = a_person(4), a_user()
    faces = list(Label.objects.filter(identity=person).values_list("face_id", flat=True))

    act = people.split(identity_id=person.pk, face_ids=faces[:1], by=curator)
    people.remove(identity_id=person.pk, face_ids=faces[1:2], by=curator)

    assert Label.objects.filter(identity=person).count() == 2
    assert Label.objects.get(face=faces[0]).identity != person
    assert not Label.objects.filter(face=faces[1]).exists()
    undo_answer(answer_id=act.pk, by=curator)
    assert Label.objects.get(face=faces[0]).identity == person


@pytest.mark.parametrize("act", [people.split, people.remove])
def test_faces_of_somebody_else_are_refused(act):
    with pytest.raises(BadAct, match="of person"):
        act(identity_id=a_person().pk, face_ids=[a_face().pk], by=a_user())


def test_nobody_is_merged_with_themselves():
    person = a_person()
    with pytest.raises(BadAct, match="themselves"):
        people.merge(identity_ids=[person.pk], into_id=person.pk, by=a_user())


def test_the_ledger_refuses_edits():
    answer(a_question())
    line = Decision.objects.first()
    with pytest.raises(LedgerIsAppendOnly):
        line.save()
    with pytest.raises(LedgerIsAppendOnly):
        line.delete()
    with pytest.raises(LedgerIsAppendOnly):
        Decision.objects.update(kind="name")


def test_labels_derived_anew_are_the_same():
    one, other, curator = a_person(), a_person(), a_user()
    people.merge(identity_ids=[other.pk], into_id=one.pk, by=curator)
    people.rename(identity_id=one.pk, name="Ada", by=curator)
    before = sorted(Label.objects.values_list("face", "identity", "verdict", "decision"))
    names = sorted(Identity.objects.values_list("pk", "name", "merged_into"))
    Label.objects.all().delete()
    Identity.objects.update(name="", merged_into=None)

    labels.rebuild()

    assert sorted(Label.objects.values_list("face", "identity", "verdict", "decision")) == before
    assert sorted(Identity.objects.values_list("pk", "name", "merged_into")) == names
