"""Whether probabilities of being one person, and of being one among many or nobody, are what they say.

python -m tests.benchmarks.identification [--seeds 5]

Scrape: every second of the 89 people is known by half of their photos, from which alone the probabilities are learnt;
asked about are the other half, and as many photos of the people who are not known. LFW, folds 1 and 2 of View 2: the
verdict on each pair by the constants of the backbone that ships. No constant was chosen on either. Two of the scrape's
90 identities are one person (7392 and 7393: their means are alike to 0.999), and are taken for one here.
"""

import argparse
import csv

import numpy as np
import numpy.typing as npt

from inference.core.bundle import cold_start, open_embedder
from inference.core.calibrate import reliability
from inference.core.sameness import judge, learn, unfitted
from tests.benchmarks.shared_data import SHARED_DATA, share
from tests.benchmarks.verification import LFW, chosen_landmarks, embedded
from training.core.benchmarks.lfw import read

Ints = npt.NDArray[np.int64]


def scrape() -> tuple[npt.NDArray[np.float32], Ints]:
    """Vectors of the chosen faces, and whose they are; of duplicates one is enough."""
    folder = SHARED_DATA / "scrape"
    with (folder / "truth.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["identity"] and row["fault"] in ("", "wrong-person")]
    of = {folder / row["file"]: row["identity"].replace("7393", "7392") for row in rows}
    vectors = embedded(open_embedder(cold_start()), chosen_landmarks(of))
    people = sorted(set(of.values()))
    return np.stack(list(vectors.values())), np.array([people.index(of[path]) for path in vectors], np.int64)


def identify(vectors: npt.NDArray[np.float32], who: Ints, seed: int) -> dict[str, npt.NDArray[np.float64]]:
    """Of each face asked about: what was believed of the best answer, whether it was right, whether it is known."""
    rng = np.random.default_rng(seed)
    known = rng.permutation(who.max() + 1)[: (who.max() + 1) // 2]
    inside = np.isin(who, known) & (rng.random(len(who)) < 0.5)
    people, own, counts = np.unique(who[inside], return_inverse=True, return_counts=True)
    sums = np.zeros((len(people), vectors.shape[1]), np.float32)
    np.add.at(sums, own, vectors[inside])
    lengths = np.linalg.norm(sums, axis=1)
    means = sums / lengths[:, None]
    learnt = learn(means, lengths, counts, vectors[inside], own)
    assert learnt is not None
    held_out = np.flatnonzero(~inside & np.isin(who, people))
    strangers = rng.permutation(np.flatnonzero(~np.isin(who, known)))[: len(held_out)]
    found = dict[str, list[tuple[float, bool, bool]]](learnt=[], unfitted=[])
    for name, sure in (("learnt", learnt), ("unfitted", unfitted(None))):
        for face in (*held_out, *strangers):
            told, nobody = sure.probabilities((means @ vectors[face]).astype(np.float64), counts)
            best = int(told.argmax())
            answer = int(people[best]) if told[best] > nobody else -1
            truth = int(who[face]) if who[face] in people else -1
            found[name].append((max(float(told[best]), nobody), answer == truth, truth >= 0))
    return {name: np.array(rows, np.float64) for name, rows in found.items()}


def people_found(seeds: int) -> None:
    vectors, who = scrape()
    outcomes = [identify(vectors, who, seed) for seed in range(seeds)]
    print(f"scrape: {len(who)} faces of {who.max() + 1} people, {seeds} draws of who is known\n")
    print("| probabilities | asked about | right | known people found | strangers called nobody | calibration error |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in ("learnt", "unfitted"):
        rows = np.concatenate([each[name] for each in outcomes])
        believed, right, known = rows[:, 0], rows[:, 1] > 0, rows[:, 2] > 0
        errors = [reliability(each[name][:, 0], each[name][:, 1] > 0).error for each in outcomes]
        found, left = (of_those(right[chosen]) for chosen in (known, ~known))
        off = f"{np.mean(errors):.4f} ± {np.std(errors):.4f}"
        print(f"| {name} | {len(rows)} | {of_those(right)} | {found} | {left} | {off} |")
        for low, high in ((0.0, 0.8), (0.8, 0.95), (0.95, 0.99), (0.99, 1.01)):
            inside = (believed >= low) & (believed < high)
            if inside.any():
                told = f"{low:g}–{min(high, 1):g}, on average {believed[inside].mean():.3f}"
                print(f"| … believed {told} | {inside.sum()} | {of_those(right[inside])} | | | |")


def of_those(right: npt.NDArray[np.bool_]) -> str:
    return share(int(right.sum()), len(right))


def pairs_judged() -> None:
    pairs = read(LFW)
    landmarks = chosen_landmarks(sorted({path for pair in pairs for path in (pair.one, pair.other)}))
    vectors = embedded(open_embedder(cold_start()), landmarks)
    both = [pair for pair in pairs if pair.one in vectors and pair.other in vectors]
    verdicts = [judge(float(vectors[pair.one] @ vectors[pair.other]), None) for pair in both]
    right = np.array([verdict.same == pair.same for verdict, pair in zip(verdicts, both, strict=True)])
    believed = np.array([1 - verdict.chance_of_error for verdict in verdicts])
    print(f"\nLFW folds 1 and 2, threshold {verdicts[0].threshold:.4f}: right {share(int(right.sum()), len(right))}")
    print(
        f"chance of error on average {1 - believed.mean():.4f}, errors {1 - right.mean():.4f}; "
        f"calibration error {reliability(believed, right).error:.4f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    people_found(parser.parse_args().seeds)
    pairs_judged()


if __name__ == "__main__":
    main()
