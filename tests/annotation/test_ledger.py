"""Whatever people do, in whatever order they undo it: labels are what the ledger alone says."""

import random
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

import pytest

from annotation import labels, people
from annotation.answers import record_answer, undo_answer
from annotation.errors import BadAct
from annotation.models import Answer, AttributeLabel, Decision, Face, Identity, Label, Question, User
from tests.factories import a_cluster, a_face, a_question, a_user

pytestmark = pytest.mark.django_db


def derived() -> tuple[list[tuple[object, ...]], ...]:
    """All that is derived from the ledger."""
    return (
        sorted(Label.objects.values_list("face_id", "verdict", "identity_id", "decision_id")),
        sorted(Identity.objects.values_list("pk", "name", "merged_into_id"), key=lambda row: row[0]),
        sorted(AttributeLabel.objects.values_list("face_id", "attribute", "value", "decision_id")),
    )


class Team:
    """Curators who act at random."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.curators = [a_user() for _ in range(3)]
        self.faces = [a_face() for _ in range(14)]
        twin = a_face()
        Face.objects.filter(pk=twin.pk).update(duplicate_of=self.faces[0])
        for group in (self.faces[:5], self.faces[5:9], self.faces[9:]):
            a_question(group, cluster=a_cluster(group))

    def act(self) -> None:
        acts: list[Callable[[User], object]] = [
            *[self.answer] * 3, self.assign, self.split, self.remove, self.merge, self.rename, self.not_a_face,
            self.describe,
            *[self.undo] * 3,
        ]  # fmt: skip
        with suppress(BadAct):  # what was drawn makes no sense now; people are told so
            self.chance.choice(acts)(self.chance.choice(self.curators))

    def describe(self, by: User) -> None:
        identity = self.chance.choice([*Identity.objects.values_list("pk", flat=True), 0])
        people.describe(identity_id=identity, attribute="gender", value=self.chance.choice(["female", "male"]), by=by)

    def answer(self, by: User) -> None:
        questions = list(Question.objects.filter(state="open"))
        if not questions:
            return
        question = self.chance.choice(questions)
        shown = list(question.shown.values_list("face_id", flat=True))
        marks = {str(pk): self.chance.choice(["other", "not_a_face", "cannot_tell"]) for pk in self.some(shown, 0)}
        verdict = self.chance.choice(["one_person", "one_person", "cannot_tell", "skip"])
        content = {"verdict": verdict, "marks": marks, "marked_are_one": "other" in marks.values(), "name": "Ada"}
        record_answer(question_id=question.pk, annotator=by, client_id=uuid4(), content=content)

    def assign(self, by: User) -> None:
        identity = self.chance.choice([None, self.person()])
        people.assign(face_ids=self.some([face.pk for face in self.faces]), identity_id=identity, by=by)

    def split(self, by: User) -> None:
        person = self.person()
        people.split(identity_id=person, face_ids=self.some(self.of(person)), by=by)

    def remove(self, by: User) -> None:
        person = self.person()
        people.remove(identity_id=person, face_ids=self.some(self.of(person)), by=by)

    def merge(self, by: User) -> None:
        people.merge(identity_ids=[self.person(), self.person()], into_id=self.person(), by=by)

    def rename(self, by: User) -> None:
        people.rename(identity_id=self.person(), name=self.chance.choice(["Bo", "Cy", ""]), by=by)

    def not_a_face(self, by: User) -> None:
        people.not_a_face(face_ids=[self.chance.choice(self.faces).pk], by=by)

    def undo(self, by: User) -> None:
        done = list(Answer.objects.filter(undone_at=None))
        if done:
            undo_answer(answer_id=self.chance.choice(done).pk, by=by)

    def person(self) -> int:
        return self.chance.choice([*Identity.objects.values_list("pk", flat=True), 0])

    def of(self, person: int) -> list[int]:
        """Their faces, but for the duplicate photo's: it keeps to the word about the one that stands for it."""
        return list(Label.objects.filter(identity=person, face__in=self.faces).values_list("face_id", flat=True))

    def some(self, items: list[int], least: int = 1) -> list[int]:
        return self.chance.sample(items, self.chance.randint(min(least, len(items)), min(3, len(items))))


@pytest.mark.parametrize("seed", range(12))
def test_labels_kept_up_to_date_are_those_derived_anew(seed: int):
    team = Team(seed)
    for _ in range(25):
        team.act()
    kept = derived()
    twin = Face.objects.get(duplicate_of__isnull=False)

    labels.rebuild()

    assert derived() == kept
    roots = set(Identity.objects.filter(merged_into=None).values_list("pk", flat=True))
    assert set(Label.objects.exclude(identity=None).values_list("identity_id", flat=True)) <= roots
    said = Label.objects.filter(face__in=[twin.pk, twin.duplicate_of_id]).values_list("verdict", "identity_id")
    assert len(said) in (0, 2)
    assert len(set(said)) <= 1


@pytest.mark.parametrize("seed", range(6))
def test_everything_undone_in_any_order_leaves_nothing(seed: int):
    team = Team(100 + seed)
    for _ in range(20):
        team.act()

    answers = list(Answer.objects.filter(undone_at=None))
    team.chance.shuffle(answers)
    for answer in answers:
        undo_answer(answer_id=answer.pk, by=team.curators[0])

    assert not Label.objects.exists()
    assert not Identity.objects.exclude(name="", merged_into=None).exists()
    assert not Decision.objects.standing().exists()
