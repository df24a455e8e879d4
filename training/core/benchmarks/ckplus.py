"""CK+ (Lucey et al., 2010): posed sequences from neutral to the peak of an emotion, ten folds that share no person.

    cohn-kanade-images/S005/001/S005_001_00000011.png
    Emotion/S005/001/S005_001_00000011_emotion.txt       one number: 1 anger, 2 contempt, 3 disgust, 4 fear, 5 happy,
                                                         6 sadness, 7 surprise; sequences without the file have none

Of every sequence with an emotion the last picture is the emotion and the first is neutral, as the field has it. The
paper's seven classes have neutral and not contempt: those sequences are left out, and counted. People are dealt into
ten folds in the order of their numbers; a network is fine-tuned on the other nine.
"""

from pathlib import Path

from inference.core.attributes import EMOTION
from training.core.benchmarks.emotion import WORDS
from training.core.benchmarks.faces import look
from training.core.benchmarks.judging import SD, as_it_is, class_row, learning, out_of_fold
from training.core.benchmarks.protocol import Contestant, NotMeasured, Outcome, Sample
from training.core.benchmarks.published import PUBLISHED

CODES = {1: "anger", 2: "contempt", 3: "disgust", 4: "fear", 5: "happy", 6: "sadness", 7: "surprise"}
FOLDS = 10


def read(folder: Path) -> tuple[list[Sample], int]:
    """The samples, and how many sequences show contempt. Raises NotMeasured."""
    labels = sorted((folder / "Emotion").glob("S*/*/*_emotion.txt"))
    if not labels or not (folder / "cohn-kanade-images").is_dir():
        raise NotMeasured(f"{folder} holds no Emotion/S005/001/…_emotion.txt with cohn-kanade-images/ beside it.")
    people = sorted({label.parts[-3] for label in labels})
    samples: list[Sample] = []
    contempt = 0
    for label in labels:
        emotion = _emotion(label)
        if emotion not in WORDS:
            contempt += 1
            continue
        person, sequence = label.parts[-3:-1]
        frames = sorted((folder / "cohn-kanade-images" / person / sequence).glob("*.png"))
        if len(frames) < 2:
            raise NotMeasured(f"The sequence {person}/{sequence} has {len(frames)} pictures; two are needed.")
        for frame, word in ((frames[0], "neutral"), (frames[-1], emotion)):
            fold = people.index(person) % FOLDS
            samples.append(Sample(frame.name, frame, WORDS[word], person, fold))
    return samples, contempt


def _emotion(label: Path) -> str:
    told = label.read_text(encoding="ascii", errors="replace").strip()
    try:
        return CODES[int(float(told))]
    except (ValueError, KeyError) as error:
        raise NotMeasured(f"{label} says {told!r}; a number from 1 to 7 is expected.") from error


def run(folder: Path, contestant: Contestant) -> Outcome:
    samples, contempt = read(folder)
    if len({sample.fold for sample in samples}) < 2:
        raise NotMeasured(f"{folder} holds pictures of one person: there is nobody else to learn from.")
    seen = look(samples, [learning(contestant.fine_tune), as_it_is(contestant.models[EMOTION.name])], contestant.tick)
    learnt = out_of_fold(contestant, samples, seen.arrays[0], EMOTION)
    return Outcome(
        protocol="ckplus",
        title="CK+, seven classes with neutral",
        columns=("accuracy",),
        ours=(
            class_row(f"{contestant.fine_tune.name}, fine-tuned on the other folds", learnt, samples, EMOTION, SD),
            class_row(f"{contestant.names[EMOTION.name]}, as it is", seen.arrays[1], samples, EMOTION, SD),
        ),
        published=PUBLISHED["ckplus"],
        faces=seen.faces,
        notes=(f"{contempt} sequences of contempt are left out: it is none of the seven",),
    )
