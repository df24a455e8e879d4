"""Adience (Eidinger, Enbar, Hassner, 2014): five folds of albums; age in eight groups, and gender.

    fold_0_data.txt … fold_4_data.txt              tab separated: user_id, original_image, face_id, age, gender, …
    fold_frontal_0_data.txt …                      the nearly frontal ones of them
    faces/<user_id>/coarse_tilt_aligned_face.<face_id>.<original_image>
    aligned/<user_id>/landmark_aligned_face.<face_id>.<original_image>          taken instead where faces/ is absent

Age: for each fold a network fine-tuned on the other four; mean and deviation over the folds of exact and 1-off.
Gender: one network for all folds, as the paper has it.

Some labels name no group. A single year and an odd span count for the group that is nearest to their middle: "(38, 48)"
for 38–43, "35" for 38–43. Not counted are "None", and "(8, 23)", which holds two groups whole.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from annotation.core.datasets.entry import GENDERS, BadDataset, rows
from inference.core.attributes import GENDER, OLDEST, Attribute
from training.core.benchmarks.faces import look
from training.core.benchmarks.judging import SD, as_it_is, class_row, group_row, learning, out_of_fold
from training.core.benchmarks.protocol import Contestant, NotMeasured, Outcome, Sample
from training.core.benchmarks.published import PUBLISHED
from training.core.metrics import AgeGroups

FOLDS = 5
FRONTAL = ", the nearly frontal faces only"
GROUPS = AgeGroups(((0, 2), (4, 6), (8, 13), (15, 20), (25, 32), (38, 43), (48, 53), (60, OLDEST)))
AGE_GROUP = Attribute("age group", GROUPS.names, "value", asked=False)
COLUMNS = ("user_id", "original_image", "face_id", "age", "gender")
SPAN = re.compile(r"\((\d+), ?(\d+)\)$")
PICTURES = (("faces", "coarse_tilt_aligned_face"), ("aligned", "landmark_aligned_face"))


def group_of(said: str) -> int | None:
    """The group that a label means; None where it means none or two of them."""
    if span := SPAN.match(said):
        low, high = int(span[1]), int(span[2])
        if sum(low <= first and last <= high for first, last in GROUPS.spans) > 1:
            return None
        return int(GROUPS.of((low + min(high, OLDEST)) / 2))
    return int(GROUPS.of(int(said))) if said.isdecimal() else None


def read(folder: Path, *, frontal: bool = False) -> tuple[list[tuple[Sample, int | None, int | None]], list[int]]:
    """The samples with group and gender, None where the set does not say, and the folds that are there.

    Raises NotMeasured.
    """
    name = "fold_frontal_{}_data.txt" if frontal else "fold_{}_data.txt"
    present = [fold for fold in range(FOLDS) if (folder / name.format(fold)).is_file()]
    place = next((each for each in PICTURES if (folder / each[0]).is_dir()), None)
    if not present or place is None:
        raise NotMeasured(f"{folder} holds no {name.format(0)} with a folder faces/ or aligned/ beside it.")
    try:
        found = [
            _sample(folder, place, fold, row)
            for fold in present
            for row in rows(folder / name.format(fold), COLUMNS, delimiter="\t")
        ]
    except BadDataset as error:
        raise NotMeasured(str(error)) from error
    return found, present


def _sample(
    folder: Path, place: tuple[str, str], fold: int, row: dict[str, str]
) -> tuple[Sample, int | None, int | None]:
    inside, prefix = place
    file = Path(inside, row["user_id"], f"{prefix}.{row['face_id']}.{row['original_image']}")
    group, gender = group_of(row["age"]), GENDERS.get(row["gender"])
    slices = {"age": GROUPS.names[group]} if group is not None else {}
    if gender:
        slices["gender"] = gender
    sample = Sample(file.as_posix(), folder / file, person=row["user_id"], fold=fold, cropped=True, slices=slices)
    return sample, group, GENDER.index(gender) if gender else None


def _notes(present: Sequence[int], uncounted: int, what: str) -> tuple[str, ...]:
    notes = [f"{uncounted} faces without a usable label of {what} are not counted"]
    if len(present) < FOLDS:
        notes.insert(0, f"{len(present)} of {FOLDS} folds: not the whole protocol, no figure to compare by")
    return tuple(notes)


def run_age(folder: Path, contestant: Contestant, *, frontal: bool = False) -> Outcome:
    told, present = read(folder, frontal=frontal)
    samples = [replace(sample, value=group) for sample, group, _ in told if group is not None]
    if len(present) < 2:
        raise NotMeasured(f"{folder} holds {len(present)} of {FOLDS} folds: there is no other fold to learn from.")
    model, name = contestant.of_age()
    seen = look(samples, [learning(contestant.fine_tune), as_it_is(model)], contestant.tick)
    learnt, groups = out_of_fold(contestant, samples, seen.arrays[0], AGE_GROUP, GROUPS), GROUPS.beliefs(seen.arrays[1])
    return Outcome(
        protocol="adience-age",
        title=f"Adience, age in eight groups{FRONTAL if frontal else ''}",
        columns=("exact", "1-off"),
        ours=(
            group_row(f"{contestant.fine_tune.name}, fine-tuned on the other folds", learnt, samples, AGE_GROUP, SD),
            group_row(f"{name}, as it is", groups, samples, AGE_GROUP, SD),
        ),
        published=PUBLISHED["adience-age"],
        faces=seen.faces,
        notes=_notes(present, len(told) - len(samples), "age"),
    )


def run_gender(folder: Path, contestant: Contestant, *, frontal: bool = False) -> Outcome:
    told, present = read(folder, frontal=frontal)
    samples = [replace(sample, value=gender) for sample, _, gender in told if gender is not None]
    seen = look(samples, [as_it_is(contestant.models[GENDER.name])], contestant.tick)
    method = f"{contestant.names[GENDER.name]}, as it is"
    return Outcome(
        protocol="adience-gender",
        title=f"Adience, gender: one network for all folds{FRONTAL if frontal else ''}",
        columns=("accuracy",),
        ours=(class_row(method, seen.arrays[0], samples, GENDER, SD),),
        published=PUBLISHED["adience-gender"],
        faces=seen.faces,
        notes=_notes(present, len(told) - len(samples), "gender"),
    )
