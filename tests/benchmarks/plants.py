"""Wrong dates and wrong people planted among the photos of FG-NET: how many are found, and what that costs.

python -m tests.benchmarks.plants [--seeds 5]

Each of the 50 people gets a birth date by chance, and each photo the date that its age gives. Then a tenth of the
photos get another date, two years to forty away, and a twentieth are said to show somebody else. The questions are
answered by somebody who knows; found is what is in a question at some time. The chance of a seed is the birth dates and
the plants.
"""

import argparse
import csv
import io
import os
import random
import re
import shutil
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import django
from django.core.management import call_command
from django.db import connection

from tests.benchmarks.attribute_rehearsals import mean
from tests.benchmarks.shared_data import SHARED_DATA, share

FGNET = SHARED_DATA / "fgnet" / "images"
WRONG_DATES, WRONG_PEOPLE = 0.1, 0.05
YEARS = timedelta(days=365.2425)


def plant(folder: Path, chance: random.Random) -> dict[str, str]:
    """Write a labelled set; returns the plants by file."""
    rows = []
    for path in sorted(FGNET.glob("*.[jJ][pP][gG]")):
        found = re.match(r"(\d{3})A(\d{2})", path.name)
        assert found is not None, path.name
        rows.append({"file": path.name, "identity": found[1], "age": str(int(found[2]))})
        shutil.copy(path, folder)
    born = {
        person: date(1930, 1, 1) + chance.random() * 50 * YEARS for person in sorted({row["identity"] for row in rows})
    }
    for row in rows:
        row["taken_at"] = str(born[row["identity"]] + (int(row["age"]) + chance.random()) * YEARS)
    picked = chance.sample(rows, round((WRONG_DATES + WRONG_PEOPLE) * len(rows)))
    plants: dict[str, str] = {}
    for row in picked[: round(WRONG_DATES * len(rows))]:
        away = chance.choice([-1, 1]) * chance.uniform(2, 40)
        row["taken_at"] = str(date.fromisoformat(row["taken_at"]) + away * YEARS)
        plants[row["file"]] = "wrong_date"
    for row in picked[len(plants) :]:
        row["identity"] = chance.choice([person for person in born if person != row["identity"]])
        plants[row["file"]] = "other"
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return plants


def answer_all(plants: dict[str, str], found: set[str]) -> tuple[int, int]:
    """Answer until nothing waits; returns how many questions and actions that took."""
    from annotation import lifetimes  # noqa: PLC0415  Django is set up by now
    from annotation.answers import record_answer  # noqa: PLC0415
    from annotation.models import User  # noqa: PLC0415
    from annotation.queue import take_next  # noqa: PLC0415

    user = User.objects.create_user(f"rehearsal{uuid4()}")
    questions = actions = 0
    while lifetimes.keep_up():
        while taken := take_next(user, kind="record"):
            shown = {str(face.pk): face.photo.file for face in taken[0].faces.select_related("photo")}
            found |= plants.keys() & set(shown.values())
            marks = {face: plants[file] for face, file in shown.items() if file in plants}
            said = record_answer(
                question_id=taken[0].pk,
                annotator=user,
                client_id=uuid4(),
                content={"verdict": "marked", "marks": marks},
            )
            questions, actions = questions + 1, actions + said.actions
    return questions, actions


def one(seed: int, data: Path) -> dict[str, Any]:
    from annotation.models import Label, Photo  # noqa: PLC0415

    connection.close()
    # A site of its own for each: no table of the audit log can be emptied.
    for file in data.glob("dager.sqlite3*"):
        file.unlink()
    call_command("migrate", verbosity=0)
    with tempfile.TemporaryDirectory() as folder:
        plants = plant(Path(folder), random.Random(seed))
        call_command("import_labelled", folder, layout="csv", source=f"fgnet{seed}", json=True, stdout=io.StringIO())
    labels = Label.objects.filter(identity__isnull=False).values_list("face__photo__file", flat=True)
    here = set(labels)
    plants = {file: what for file, what in plants.items() if file in here}
    found: set[str] = set()
    questions, actions = answer_all(plants, found)
    missed = {what: sum(plants[file] == what for file in plants.keys() - found) for what in ("wrong_date", "other")}
    print(
        f"seed {seed}: {len(here)} of {Photo.objects.count()} photos with a person; "
        f"found {share(len(found), len(plants))}, missed {missed}; {questions} questions, {actions} actions"
    )
    return {"found": len(found) / len(plants), "questions": questions / len(here), "actions": actions / len(here)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dager-bench-") as data:
        os.environ |= {"DAGER_DATA": data, "DAGER_LOG_LEVEL": "WARNING"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "dager_site.settings"
        django.setup()
        told = [one(seed, Path(data)) for seed in range(asked.seeds)]
    for name, what in (("found", "plants found"), ("questions", "questions per face"), ("actions", "actions per face")):
        print(f"{what}: {mean([each[name] for each in told])}")


if __name__ == "__main__":
    main()
