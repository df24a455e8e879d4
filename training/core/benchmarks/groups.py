"""Images of Groups (Gallagher & Chen, 2009): age in seven groups, 3,500 faces to learn from and 1,050 to be judged on.

    eventrain.mat, eventest.mat        of its archive AgeGenderClassification: `trcoll` and `tecoll` with the columns
                                       name (a Windows path), ageClass (1, 5, 10, 16, 28, 51 or 75: the group's middle)
                                       and facePosSize (x and y of the left and of the right eye, …)
    Fam2a/…jpg, Group2a/…jpg, …        the photos, in any folder

The face that is meant is the one whose eyes lie where the set says; where the detector misses it, those eyes align it.
"""

from pathlib import Path

import numpy as np
from scipy.io import loadmat

from annotation.core.datasets.entry import pictures
from inference.core.attributes import OLDEST, Attribute
from training.core.benchmarks.faces import look
from training.core.benchmarks.judging import as_it_is, group_row, learning, taught
from training.core.benchmarks.protocol import Contestant, NotMeasured, Outcome, Sample
from training.core.benchmarks.published import PUBLISHED
from training.core.metrics import AgeGroups

TRAIN, TEST = 3_500, 1_050
GROUPS = AgeGroups(((0, 2), (3, 7), (8, 12), (13, 19), (20, 36), (37, 65), (66, OLDEST)))
AGE_GROUP = Attribute("age group", GROUPS.names, "value", asked=False)
MIDDLES = (1, 5, 10, 16, 28, 51, 75)
LISTS = (("eventrain.mat", "trcoll", True), ("eventest.mat", "tecoll", False))


def read(folder: Path) -> list[Sample]:
    """Both parts. Raises NotMeasured."""
    photos = {Path(file).name: folder / file for file in pictures(folder)} if folder.is_dir() else {}
    return [sample for file, key, training in LISTS for sample in _part(folder, photos, file, key, training)]


def _part(folder: Path, photos: dict[str, Path], file: str, key: str, training: bool) -> list[Sample]:
    table = next(iter(sorted(folder.rglob(file))), None)
    if table is None:
        raise NotMeasured(f"{folder} holds no {file}, which says the faces of the official parts.")
    try:
        columns = loadmat(table, simplify_cells=True)[key]
        names, ages, places = (np.atleast_1d(columns[name]) for name in ("name", "ageClass", "facePosSize"))
    except (KeyError, ValueError, NotImplementedError) as error:
        raise NotMeasured(f"{table} does not hold {key} with name, ageClass and facePosSize: {error}") from error
    return [
        _sample(folder, photos, str(name), int(age), np.asarray(place, np.float64), training)
        for name, age, place in zip(names, ages, places, strict=True)
    ]


def _sample(folder: Path, photos: dict[str, Path], name: str, age: int, place: np.ndarray, training: bool) -> Sample:
    if age not in MIDDLES:
        raise NotMeasured(f"Its age class {age} is none of {MIDDLES}.")
    photo = name.replace("\\", "/").rsplit("/", 1)[-1]
    return Sample(
        photo,
        photos.get(photo, folder / photo),  # what is not there is said when it is looked at
        value=MIDDLES.index(age),
        person=photo,  # nobody's name is known, but people of one photo are seen in one light
        training=training,
        eyes=place[:4].reshape(2, 2),
    )


def run(folder: Path, contestant: Contestant) -> Outcome:
    samples = sorted(read(folder), key=lambda sample: sample.name)
    model, name = contestant.of_age()
    views = [learning(contestant.fine_tune), as_it_is(model)]
    seen = look(samples, views, contestant.tick)
    training = np.array([sample.training for sample in samples])
    test = [sample for sample in samples if not sample.training]
    learnt = taught(contestant.fine_tune, samples, seen.arrays[0], AGE_GROUP, training, GROUPS)(
        seen.arrays[0][~training]
    )
    counts = int(training.sum()), len(test)
    return Outcome(
        protocol="groups",
        title="Images of Groups, age in seven groups",
        columns=("exact", "1-off"),
        ours=(
            group_row(f"{contestant.fine_tune.name}, fine-tuned on the training part", learnt, test, AGE_GROUP),
            group_row(
                f"{name}, as it is",
                GROUPS.beliefs(seen.arrays[1][~training]),
                test,
                AGE_GROUP,
            ),
        ),
        published=PUBLISHED["groups"],
        faces=seen.faces,
        notes=()
        if counts == (TRAIN, TEST)
        else (f"parts of {counts[0]} and {counts[1]} faces, not {TRAIN} and {TEST}",),
    )
