"""The protocols by the name that a user gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from inference.core.attributes import APPARENT_AGE, EMOTION, GENDER, REAL_AGE, Attribute
from training.core.benchmarks import (
    adience,
    cacd_vs,
    ckplus,
    emotion_folders,
    fer2013,
    ferplus,
    fgnet,
    groups,
    lap,
    lfw,
    real_age,
)
from training.core.benchmarks.protocol import Contestant, NotMeasured, Outcome


@dataclass(frozen=True)
class Benchmark:
    run: Callable[[Path, Contestant], Outcome]
    what: str
    layout: str  # what must lie in the folder that is given
    judges: tuple[Attribute, ...]  # by which network; none: the backbone
    learns: bool = False  # fine-tunes on the part of the set that is for learning


AGE, WHO = (REAL_AGE, APPARENT_AGE), ()
BENCHMARKS: Mapping[str, Benchmark] = {
    "lfw": Benchmark(lfw.run, "LFW, View 2: ten folds of pairs", "pairs.txt, lfw-deepfunneled/", WHO),
    "cacd-vs": Benchmark(cacd_vs.run, "CACD-VS: pairs across ages, ten folds", "CACD_VS/0000_0.jpg", WHO),
    "adience-age": Benchmark(
        adience.run_age, "Adience: age in eight groups, five folds", "fold_0_data.txt, faces/", AGE, True
    ),
    "adience-gender": Benchmark(
        adience.run_gender, "Adience: gender, one network", "fold_0_data.txt, faces/", (GENDER,)
    ),
    "adience-age-frontal": Benchmark(
        partial(adience.run_age, frontal=True),
        "Adience: the same, nearly frontal faces only",
        "fold_frontal_0_data.txt, faces/",
        AGE,
        True,
    ),
    "adience-gender-frontal": Benchmark(
        partial(adience.run_gender, frontal=True),
        "Adience: the same, nearly frontal faces only",
        "fold_frontal_0_data.txt, faces/",
        (GENDER,),
    ),
    "groups": Benchmark(
        groups.run, "Images of Groups: age in seven groups", "eventrain.mat, eventest.mat, photos", AGE, True
    ),
    "lap2015": Benchmark(lap.run_2015, "ChaLearn LAP 2015: apparent age", "Train.csv, Test.csv, pictures", AGE, True),
    "lap2016": Benchmark(
        lap.run_2016, "ChaLearn LAP 2016: apparent age", "train_gt.csv, test_gt.csv, pictures", AGE, True
    ),
    "real-age": Benchmark(real_age.run, "real age on a table of one's own", "labels.csv: file, age", AGE),
    "fgnet": Benchmark(fgnet.run, "FG-NET: age, one person left out", "images/002A03.JPG", AGE, True),
    "fer2013": Benchmark(fer2013.run, "FER2013: seven emotions", "fer2013.csv", (EMOTION,)),
    "ferplus": Benchmark(
        ferplus.run, "FER+: seven emotions by votes", "fer2013.csv, fer2013new.csv; or votes.csv, images/", (EMOTION,)
    ),
    "ckplus": Benchmark(
        ckplus.run, "CK+: seven emotions, people apart", "Emotion/, cohn-kanade-images/", (EMOTION,), True
    ),
    "emotion-folders": Benchmark(
        emotion_folders.run, "seven emotions, a folder a class", "happy/…jpg, test/sad/…jpg", (EMOTION,)
    ),
}


class UnknownBenchmark(ValueError):
    def __init__(self, name: str) -> None:
        near = get_close_matches(name, BENCHMARKS, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(f"There is no benchmark {name!r}.{meant} Known are: {', '.join(BENCHMARKS)}.")


class WrongModel(ValueError):
    def __init__(self, name: str, brought: Attribute) -> None:
        judged = " or ".join(each.name for each in BENCHMARKS[name].judges) or "a backbone, as --embedder"
        super().__init__(f"The model tells {brought.name}, and {name} judges {judged}. Give another, or leave it out.")


def measure(name: str, folder: Path, contestant: Contestant) -> Outcome:
    """Run one protocol on the set in this folder. Raises UnknownBenchmark, WrongModel, NotMeasured."""
    if name not in BENCHMARKS:
        raise UnknownBenchmark(name)
    if contestant.brought is not None and contestant.brought not in BENCHMARKS[name].judges:
        raise WrongModel(name, contestant.brought)
    if not folder.exists():
        raise NotMeasured(f"There is no {folder}.")
    outcome = BENCHMARKS[name].run(folder, contestant)
    rows = " ".join(row.method for row in outcome.ours)
    cautions = tuple(said for model, said in contestant.cautions.items() if model in rows)
    return replace(outcome, protocol=name, notes=outcome.notes + cautions)
