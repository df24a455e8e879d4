"""ChaLearn Looking at People, apparent age (Escalera et al., 2015 and 2016): ε and mean error on the test part.

2016 (7,591 pictures):  train_gt.csv, valid_gt.csv, test_gt.csv     `image,mean,stdv` and a row a picture
2015 (4,691 pictures):  Train.csv, Reference.csv, Test.csv          `image_1.jpg;35;7.45`, without a header

The pictures lie in any folder below (train/, train_1/, valid/, test/); of equal names the one in the folder that is
called like the table is taken. Assumed of the tables: name, mean and deviation of the guesses are the first three
columns, parted by a comma, a semicolon or a tab, with a header or without. Where the test part's labels are not there
(they were held back for long), the validation part is judged, and that is said.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from annotation.core.datasets.entry import pictures
from inference.core.attributes import APPARENT_AGE
from training.core.benchmarks.faces import look
from training.core.benchmarks.judging import age_row, as_it_is, learning, taught
from training.core.benchmarks.protocol import Contestant, NotMeasured, Ours, Outcome, Sample
from training.core.benchmarks.published import PUBLISHED

TABLES = {
    "train": ("train_gt.csv", "Train.csv", "train.csv"),
    "valid": ("valid_gt.csv", "Reference.csv", "Validation.csv", "Valid.csv", "validation_gt.csv"),
    "test": ("test_gt.csv", "Test.csv", "Reference_test.csv"),
}
FEWEST = 0.3  # years: of a spread that is stated as less (two or three pictures), ε would be all or nothing


def read(folder: Path) -> tuple[list[Sample], list[Sample], str]:
    """What to learn from, what is judged, and the name of that part. Raises NotMeasured."""
    if not folder.is_dir():
        raise NotMeasured(f"There is no folder {folder}.")
    files: dict[str, list[Path]] = {}
    for file in pictures(folder):
        files.setdefault(Path(file).name, []).append(folder / file)
    parts = {part: _part(folder, part, names, files) for part, names in TABLES.items()}
    judged = next((part for part in ("test", "valid") if parts[part]), None)
    if judged is None:
        raise NotMeasured(f"{folder} holds neither {' nor '.join((TABLES['test'][0], TABLES['valid'][0]))}.")
    return parts["train"], parts[judged], judged


def _part(folder: Path, part: str, names: tuple[str, ...], files: dict[str, list[Path]]) -> list[Sample]:
    table = next((path for name in names for path in sorted(folder.rglob(name))), None)
    return [] if table is None else list(_samples(folder, table, part, files))


def _samples(folder: Path, table: Path, part: str, files: dict[str, list[Path]]) -> Iterator[Sample]:
    text = table.read_text(encoding="utf-8-sig")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    for number, words in enumerate(csv.reader(text.splitlines(), delimiter=delimiter)):
        if not words:
            continue
        try:
            name, mean, deviation = words[0].strip(), float(words[1]), float(words[2])
        except (IndexError, ValueError) as error:
            if number == 0:
                continue  # a header
            raise NotMeasured(f"{table}, line {number + 1}, is not `name, mean, deviation`: {words}.") from error
        near = sorted(files.get(name, [folder / name]), key=lambda path: part not in path.parent.name.lower())
        yield Sample(name, near[0], mean, training=part == "train", deviation=max(deviation, FEWEST))


def _run(folder: Path, contestant: Contestant, protocol: str, title: str) -> Outcome:
    training, judged, part = read(folder)
    model, name = contestant.of_age(APPARENT_AGE)
    seen = look([*training, *judged], [learning(contestant.fine_tune), as_it_is(model)], contestant.tick)
    kept, years = seen.arrays[0], seen.arrays[1][len(training) :]
    ours: list[Ours] = []
    if training:
        first = np.arange(len(kept)) < len(training)
        learnt = taught(contestant.fine_tune, [*training, *judged], kept, APPARENT_AGE, first)(kept[~first])
        ours.append(
            age_row(f"{contestant.fine_tune.name}, fine-tuned on the training part", learnt, judged, APPARENT_AGE)
        )
    ours.append(age_row(f"{name}, as it is", years, judged, APPARENT_AGE))
    return Outcome(
        protocol=protocol,
        title=title,
        columns=("ε", "MAE"),
        ours=tuple(ours),
        published=PUBLISHED[protocol],
        faces=seen.faces,
        notes=() if part == "test" else ("the validation part: no labels of the test part are there",),
    )


def run_2015(folder: Path, contestant: Contestant) -> Outcome:
    return _run(folder, contestant, "lap2015", "ChaLearn LAP 2015, apparent age")


def run_2016(folder: Path, contestant: Contestant) -> Outcome:
    return _run(folder, contestant, "lap2016", "ChaLearn LAP 2016, apparent age")
