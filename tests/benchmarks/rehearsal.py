"""What people's work comes to on `scrape/`: its truth replayed as answers to the questions that the engine asks.

python -m tests.benchmarks.rehearsal [--slips 0.02] [--seeds 5]

The whole pipeline runs on a scratch database, then three people who know everyone, but for a share of slips, answer
what waits, in turn, until nothing does. The truth answers; it is never read by the pipeline. A label is right if most
labels of its identity are of the same person. Compared with one action for each face.
The chance of a seed is who slips.
"""

import argparse
import csv
import os
import random
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from uuid import uuid4

import django
from django.core.management import call_command

from tests.benchmarks.attribute_rehearsals import mean
from tests.benchmarks.pipeline import SCRAPE, stages
from tests.benchmarks.shared_data import share

ROUNDS = 20
PEOPLE = 3
ENOUGH = 0.93  # of the faces labelled: the least that a rehearsal has to reach


class Annotator:
    """Knows the main person of each photo, and slips now and then; tells faces that the truth does not know apart."""

    def __init__(self, person_of: dict[str, str], slips: float, seed: int) -> None:
        self._person_of = person_of
        self._slips = slips
        self._chance = random.Random(seed)

    def who(self, face) -> str:  # type: ignore[no-untyped-def]
        return self.of(face.pk, face.chosen, face.photo.file)

    def of(self, face: int, chosen: bool, file: str) -> str:
        person = self._person_of.get(file) if chosen else None
        return person or f"face {face}"

    def slips(self) -> bool:
        return self._chance.random() < self._slips

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


@dataclass(frozen=True)
class Reached:
    """How things stand after so many actions: labels of faces whose person is known, and how many of them are right."""

    actions: int
    labelled: int
    right: int

    def __str__(self) -> str:
        each = self.actions / max(self.labelled, 1)
        return (
            f"{self.actions} actions, {each:.4f} for each of {self.labelled}; right: {share(self.right, self.labelled)}"
        )


def rehearse(annotator: Annotator) -> tuple[Reached, Reached]:
    """What it took until enough faces were labelled, and until nothing was left to ask."""
    from annotation import clustering  # noqa: PLC0415  Django is set up by now
    from annotation.answers import record_answer  # noqa: PLC0415
    from annotation.models import Question, User  # noqa: PLC0415
    from annotation.queue import take_next  # noqa: PLC0415

    people = [User.objects.create_user(f"rehearsal{number}") for number in range(PEOPLE)]
    enough, actions, faces = None, 0, len(_known(annotator))
    for _ in range(ROUNDS):
        idle = 0
        for user in cycle(people):
            questions = take_next(user)
            idle = 0 if questions else idle + 1
            if idle == PEOPLE:
                break
            if idle:
                continue
            said = record_answer(
                question_id=questions[0].pk, annotator=user, client_id=uuid4(), content=annotator.answer(questions[0])
            )
            actions += said.actions
            if enough is None and (reached := _reached(annotator, actions)).labelled >= ENOUGH * faces:
                enough = reached
        clustering.keep_up()
        if not Question.objects.filter(state="open").exists():
            break
    last = _reached(annotator, actions)
    return enough or last, last


def _known(annotator: Annotator) -> list:  # type: ignore[type-arg]
    """The faces whose person the truth knows."""
    from annotation.models import Face  # noqa: PLC0415

    return [face for face in Face.objects.select_related("photo") if not annotator.who(face).startswith("face ")]


def _reached(annotator: Annotator, actions: int) -> Reached:
    from annotation.models import Label  # noqa: PLC0415

    labels = Label.objects.filter(verdict="identity")
    rows = labels.values_list("identity_id", "face_id", "face__chosen", "face__photo__file")
    pairs = [(of, annotator.of(*row)) for of, *row in rows]
    people: dict[int | None, Counter[str]] = {}
    for of, who in pairs:
        people.setdefault(of, Counter())[who] += 1
    main = {of: count.most_common(1)[0][0] for of, count in people.items()}
    known = [(of, who) for of, who in pairs if not who.startswith("face ")]
    return Reached(actions, len(known), sum(main[of] == who for of, who in known))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slips", type=float, default=0.0, help="share of slips: a mark too many or too few, a pair")
    parser.add_argument("--seeds", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dager-bench-") as data:
        os.environ |= {"DAGER_DATA": data, "OMP_NUM_THREADS": "1", "DAGER_LOG_LEVEL": "WARNING"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "dager_site.settings"
        django.setup()
        call_command("migrate", verbosity=0)
        stages()
        truth = {row["file"]: row["identity"] for row in csv.DictReader((SCRAPE / "truth.csv").open())}
        person_of = {file: person for file, person in truth.items() if person}
        told = []
        for seed in range(asked.seeds):
            _restore(Path(data))
            annotator = Annotator(person_of, asked.slips, seed)
            told.append(rehearse(annotator))
            faces = len(_known(annotator))
            print(f"\nseed {seed}, {faces} faces with a known person")
            print(f"{ENOUGH:.0%} of them labelled: {told[-1][0]}")
            print(f"nothing left to ask:  {told[-1][1]}", flush=True)
    for name, reached in (("enough", [each[0] for each in told]), ("all", [each[1] for each in told])):
        print(f"\n{name}: actions per label {mean([each.actions / each.labelled for each in reached])}, ", end="")
        print(f"right {mean([each.right / each.labelled for each in reached])}, ", end="")
        print(f"labelled {mean([each.labelled / faces for each in reached])}")


def _restore(data: Path) -> None:
    """The database as it was when the first seed began."""
    from django.db import connection  # noqa: PLC0415  Django is set up by now

    connection.close()
    kept = data / "before.sqlite3"
    if kept.exists():
        shutil.copy(kept, data / "dager.sqlite3")
    else:
        shutil.copy(data / "dager.sqlite3", kept)


if __name__ == "__main__":
    main()
