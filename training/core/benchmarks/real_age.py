"""Real age on a table of one's own: the mean error in years.

    labels.csv (or any CSV)      `file, age` a row, and any of `identity, gender`; pictures beside it

A whole number is an age in years as people state it: 30 until the next birthday.
"""

from pathlib import Path

from annotation.core.datasets import table
from annotation.core.datasets.entry import BadDataset, Entry
from inference.core.attributes import APPARENT_AGE, REAL_AGE
from training.core.benchmarks.faces import look
from training.core.benchmarks.judging import age_row, as_it_is
from training.core.benchmarks.protocol import Contestant, NotMeasured, Outcome, Sample
from training.core.benchmarks.published import PUBLISHED


def read(path: Path) -> tuple[list[Sample], int]:
    """The faces with an age, and how many rows have none. Raises NotMeasured."""
    folder = path if path.is_dir() else path.parent
    try:
        told = list(table.read(path))
    except BadDataset as error:
        raise NotMeasured(str(error)) from error
    if unread := [each for each in told if not isinstance(each, Entry)]:
        raise NotMeasured(f"{len(unread)} rows of {path} cannot be used; {unread[0].file}: {unread[0].reason}")
    samples = [
        Sample(
            each.file,
            folder / each.file,
            each.age.low,
            each.identity,
            slices={"gender": each.values["gender"]} if "gender" in each.values else {},
        )
        for each in told
        if isinstance(each, Entry) and each.age is not None
    ]
    return samples, len(told) - len(samples)


def run(path: Path, contestant: Contestant) -> Outcome:
    samples, without = read(path)
    model, name = contestant.of_age()
    seen = look(samples, [as_it_is(model)], contestant.tick)
    notes = [f"{without} rows without an age are not counted"] if without else []
    if model.attribute == APPARENT_AGE:
        notes.append("judged is a network of apparent age: there is none of real age")
    return Outcome(
        protocol="real-age",
        title="Real age on a table of one's own",
        columns=("MAE", "within 5 years"),
        ours=(age_row(f"{name}, as it is", seen.arrays[0], samples, REAL_AGE),),
        published=PUBLISHED["real-age"],
        faces=seen.faces,
        notes=(*notes, "the published figures are of another set: the paper's own, which is not public"),
    )
