"""What people's work comes to on `scrape/`: its truth replayed as answers to the questions that the engine asks.

python -m tests.benchmarks.rehearsal [--errors 0.01]

The whole pipeline runs on a scratch database, then somebody who knows everyone (but for a share of slips) answers what
waits, round by round, until nothing does. The truth answers; it is never read by the pipeline. A label is right if
most labels of its identity are of the same person. Compared with one action for each face.
"""

import argparse
import csv
import os
import random
import tempfile
from collections import Counter
from uuid import uuid4

import django
from django.core.management import call_command

from tests.benchmarks.pipeline import SCRAPE, stages
from tests.benchmarks.shared_data import share

ROUNDS = 20
ENOUGH = 0.93  # of the faces labelled: the least that a rehearsal has to reach


class Annotator:
    """Knows the main person of each photo, and slips now and then; tells faces that the truth does not know apart."""

    def __init__(self, person_of: dict[str, str], errors: float, seed: int) -> None:
        self._person_of = person_of
        self._errors = errors
        self._chance = random.Random(seed)

    def who(self, face) -> str:  # type: ignore[no-untyped-def]
        person = self._person_of.get(face.photo.file) if face.chosen else None
        return person or f"face {face.pk}"

    def slips(self) -> bool:
        return self._chance.random() < self._errors

    def answer(self, question) -> dict[str, object]:  # type: ignore[no-untyped-def]
        if question.kind == "pair":
            same = self._main(question.identity) == self._main(question.other_identity)
            return {"verdict": "same" if same != self.slips() else "different"}
        shown = [member.face for member in question.shown.select_related("face__photo")]
        known = question.identity or (question.cluster and question.cluster.identity)
        main = self._main(known) if known else Counter(map(self.who, shown)).most_common(1)[0][0]
        marks = {str(face.pk): "other" for face in shown if (self.who(face) != main) != self.slips()}
        return {"verdict": "one_person", "marks": marks}

    def _main(self, identity) -> str | None:  # type: ignore[no-untyped-def]
        labels = identity.labels.select_related("face__photo")
        people = Counter(self.who(label.face) for label in labels)
        return people.most_common(1)[0][0] if people else None


def rehearse(annotator: Annotator) -> None:
    from annotation import clustering  # noqa: PLC0415  Django is set up by now
    from annotation.answers import record_answer  # noqa: PLC0415
    from annotation.models import Question, User  # noqa: PLC0415
    from annotation.queue import take_next  # noqa: PLC0415

    user = User.objects.create_user("rehearsal")
    print("| round | cluster pages | pairs | actions so far | faces labelled | right |\n" + "| --- " * 6 + "|")
    actions, enough = 0, ""
    faces = len(_known(annotator))
    for round_ in range(1, ROUNDS + 1):
        asked = Counter[str]()
        while questions := take_next(user):
            (question,) = questions
            said = record_answer(
                question_id=question.pk, annotator=user, client_id=uuid4(), content=annotator.answer(question)
            )
            asked[question.kind] += 1
            actions += said.actions
            if not enough and _scored(annotator)[0] >= ENOUGH * faces:
                labelled, right = _scored(annotator)
                enough = f"{actions} actions, {actions / labelled:.4f} for each; right: {share(right, labelled)}"
        labelled, right = _scored(annotator)
        print(
            f"| {round_} | {asked['cluster']} | {asked['pair']} | {actions} | {labelled} | {share(right, labelled)} |",
            flush=True,
        )
        clustering.keep_up()
        if not Question.objects.filter(state="open").exists():
            break
    print(f"\n{ENOUGH:.0%} of the faces labelled after {enough or 'more than were asked'}")
    _report(annotator, actions)


def _known(annotator: Annotator) -> list:  # type: ignore[type-arg]
    """The faces whose person the truth knows."""
    from annotation.models import Face  # noqa: PLC0415

    return [face for face in Face.objects.select_related("photo") if not annotator.who(face).startswith("face ")]


def _scored(annotator: Annotator) -> tuple[int, int]:
    """Labels of faces whose person is known, and how many of them are right."""
    from annotation.models import Label  # noqa: PLC0415

    labels = Label.objects.filter(verdict="identity").select_related("face__photo")
    pairs = [(label.identity_id, annotator.who(label.face)) for label in labels]
    main = {identity: Counter(who for of, who in pairs if of == identity) for identity in {of for of, _ in pairs}}
    known = [(of, who) for of, who in pairs if not who.startswith("face ")]
    return len(known), sum(main[of].most_common(1)[0][0] == who for of, who in known)


def _report(annotator: Annotator, actions: int) -> None:
    faces = _known(annotator)
    labelled, right = _scored(annotator)
    print(f"faces with a known person: {len(faces)}, of {len({annotator.who(face) for face in faces})} people")
    print("labelled:               ", share(labelled, len(faces)))
    print("right:                  ", share(right, labelled))
    print(f"actions per labelled face: {actions / max(labelled, 1):.4f} ({actions} actions; one for each face: 1.0)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--errors", type=float, default=0.0, help="share of slips: a mark too many or too few, a pair")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dager-bench-") as data:
        os.environ |= {"DAGER_DATA": data, "OMP_NUM_THREADS": "1", "DAGER_LOG_LEVEL": "WARNING"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "dager_site.settings"
        django.setup()
        call_command("migrate", verbosity=0)
        stages()
        truth = {row["file"]: row["identity"] for row in csv.DictReader((SCRAPE / "truth.csv").open())}
        rehearse(Annotator({file: person for file, person in truth.items() if person}, asked.errors, asked.seed))


if __name__ == "__main__":
    main()
