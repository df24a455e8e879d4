"""FG-NET, leave one person out (Geng et al., 2007): the mean error in years, and the cumulative score.

    images/002A03.JPG      person 002 at the age of 3; a letter behind tells pictures of one age apart

For each of the 82 people a network fine-tuned on all others.
"""

from pathlib import Path

from annotation.core.datasets import fgnet
from annotation.core.datasets.entry import BadDataset, Entry
from inference.core.attributes import REAL_AGE
from training.core.benchmarks.faces import look
from training.core.benchmarks.judging import age_row, as_it_is, learning, out_of_fold
from training.core.benchmarks.protocol import Contestant, NotMeasured, Outcome, Sample
from training.core.benchmarks.published import PUBLISHED

PEOPLE, PICTURES = 82, 1_002


def read(folder: Path) -> list[Sample]:
    """A fold a person. Raises NotMeasured."""
    try:
        told = [each for each in fgnet.read(folder) if isinstance(each, Entry) and each.age is not None]
    except BadDataset as error:
        raise NotMeasured(str(error)) from error
    people = sorted({each.identity for each in told})
    return [
        Sample(each.file, folder / each.file, each.age.low, each.identity, people.index(each.identity))
        for each in told
        if each.age is not None
    ]


def run(folder: Path, contestant: Contestant) -> Outcome:
    samples = read(folder)
    people = len({sample.person for sample in samples})
    if people < 2:
        raise NotMeasured(f"{folder} holds pictures of {people} people: there is nobody else to learn from.")
    model, name = contestant.of_age()
    views = [learning(contestant.fine_tune), as_it_is(model)]
    seen = look(samples, views, contestant.tick)
    learnt = out_of_fold(contestant, samples, seen.arrays[0], REAL_AGE)
    whole = (people, len(samples)) == (PEOPLE, PICTURES)
    return Outcome(
        protocol="fgnet",
        title="FG-NET, leave one person out",
        columns=("MAE", "within 5 years"),
        ours=(
            age_row(f"{contestant.fine_tune.name}, fine-tuned on everybody else", learnt, samples, REAL_AGE),
            age_row(f"{name}, as it is", seen.arrays[1], samples, REAL_AGE),
        ),
        published=PUBLISHED["fgnet"],
        faces=seen.faces,
        notes=() if whole else (f"{people} of {PEOPLE} people, {len(samples)} of {PICTURES:,} pictures",),
    )
