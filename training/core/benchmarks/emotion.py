"""Seven classes of emotion, as the paper counts them: accuracy and confusion table of a network as it is."""

from collections.abc import Mapping, Sequence

from annotation.core.datasets.entry import EMOTIONS
from inference.core.attributes import EMOTION
from training.core.benchmarks.faces import look
from training.core.benchmarks.judging import as_it_is, class_row
from training.core.benchmarks.protocol import Contestant, Outcome, Sample
from training.core.benchmarks.published import PUBLISHED

# The sets' words and our own; what is not in it (contempt) is none of the seven.
WORDS: Mapping[str, int] = {
    **{word: EMOTION.index(value) for word, value in EMOTIONS.items()},
    **{value: EMOTION.index(value) for value in EMOTION.values},
}


def judged(
    contestant: Contestant, samples: Sequence[Sample], *, protocol: str, title: str, notes: Sequence[str] = ()
) -> Outcome:
    seen = look(samples, [as_it_is(contestant.models[EMOTION.name])], contestant.tick)
    return Outcome(
        protocol=protocol,
        title=title,
        columns=("accuracy",),
        ours=(class_row(f"{contestant.names[EMOTION.name]}, as it is", seen.arrays[0], samples, EMOTION),),
        published=PUBLISHED[protocol],
        faces=seen.faces,
        notes=tuple(notes),
    )
