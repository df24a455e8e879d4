"""How well faces are grouped into people before anybody has answered.

python -m tests.benchmarks.clustering            `scrape/`, scored by its truth, which the groups never see
python -m tests.benchmarks.clustering --choose   how slope, threshold and floor were chosen, on three other sets
python -m tests.benchmarks.clustering --scale N  time and memory for N made-up vectors

Scored is the chosen face of every photo that has a face and an identity in the truth; copies are photos as any
other. All faces are grouped, the search term speaks for the chosen one only. Intervals are bootstrapped over people.
"""

import argparse
import csv
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from inference.core.align import align, stack
from inference.core.bundle import Bundle, Calibration, cold_start, open_embedder
from inference.core.cluster import SETTINGS, Evidence, Settings, cluster, extend
from inference.core.cluster_scores import bcubed, overlaps, pairwise, purity
from inference.core.detect import cold_detector
from inference.core.faces import find_faces
from inference.core.images import Decoder, PictureRefused
from inference.core.landmarks import cold_landmarker
from inference.core.types import Picture, Vectors
from tests.benchmarks.shared_data import SHARED_DATA
from tests.benchmarks.verification import mobilefacenet

Ints = npt.NDArray[np.int64]

# Of MobileFaceNet, chosen as those of the cold start were: --choose.
BROUGHT = Settings(calibration=Calibration(slope=26.0, intercept=-10.4))


@dataclass(frozen=True, eq=False)
class Faces:
    """All faces of some photos; vectors by the backbone's name."""

    photo: Ints  # (n,)
    chosen: npt.NDArray[np.bool_]  # (n,)
    vectors: dict[str, Vectors]

    def evidence(self, terms: npt.NDArray[np.int32]) -> Evidence:
        """With the search terms (photos,) of the photos, or −1."""
        query = np.where(self.chosen, terms[self.photo], -1).astype(np.int32)
        return Evidence(photo=self.photo, query=query, pinned=np.full(len(query), -1))


def faces_of(pictures: Iterator[Picture | None], bundles: Sequence[Bundle]) -> Faces:
    """Find and embed all faces; None stands for a photo that was refused."""
    embedders = {bundle.name: open_embedder(bundle) for bundle in bundles}
    crops: dict[str, list[Picture]] = {name: [] for name in embedders}
    photo, chosen = list[int](), list[bool]()
    for number, picture in enumerate(pictures):
        for face in find_faces(picture, cold_detector(), cold_landmarker()) if picture is not None else []:
            photo.append(number)
            chosen.append(face.chosen)
            for name, embedder in embedders.items():
                crops[name].append(align(picture, face.landmarks, embedder.crop)[0])
        if sys.stderr.isatty() and number % 50 == 0:
            print(f"\r{number} photos", end="", file=sys.stderr)
    vectors = {name: embedder.embed(stack(crops[name])) for name, embedder in embedders.items()}
    return Faces(np.array(photo), np.array(chosen), vectors)


# ---- the scrape


@dataclass(frozen=True, eq=False)
class Scrape:
    faces: Faces
    terms: npt.NDArray[np.int32]  # (photos,)
    truth: Ints  # (photos,): the person, or −1


def scrape(bundles: Sequence[Bundle]) -> Scrape:
    folder = SHARED_DATA / "scrape"
    manifest, truth = (list(csv.DictReader((folder / name).open())) for name in ("manifest.csv", "truth.csv"))
    person = {row["file"]: int(row["identity"] or -1) for row in truth}
    _, terms = np.unique([row["query"] for row in manifest], return_inverse=True)
    with Decoder() as decoder:
        faces = faces_of((_decoded(decoder, folder / row["file"]) for row in manifest), bundles)
    return Scrape(faces, terms.astype(np.int32), np.array([person[row["file"]] for row in manifest]))


def _decoded(decoder: Decoder, path: Path) -> Picture | None:
    try:
        return decoder.decode(path.read_bytes()).picture
    except PictureRefused:
        return None


def interval(labels: Ints, truth: Ints) -> tuple[float, float]:
    """The 95 % interval of BCubed F over 2,000 draws of as many people, with replacement."""
    table = overlaps(labels, truth)
    per_person = [
        np.bincount(table.person, table.shared**2 / sizes)
        for sizes in (table.cluster_sizes[table.cluster], table.person_sizes[table.person])
    ]
    drawn = np.random.default_rng(0).integers(0, len(table.person_sizes), (2000, len(table.person_sizes)))
    faces = table.person_sizes[drawn].sum(axis=1)
    precision, recall = (share[drawn].sum(axis=1) / faces for share in per_person)
    low, high = np.percentile(2 * precision * recall / (precision + recall), [2.5, 97.5])
    return float(low), float(high)


def score_scrape() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        bundles = [cold_start(), mobilefacenet(Path(scratch) / "mobilefacenet")]
        found = scrape(bundles)
    scored = found.faces.chosen & (found.truth[found.faces.photo] >= 0)
    truth = found.truth[found.faces.photo][scored]
    terms = found.terms[found.faces.photo][scored]
    print(f"scrape: {len(found.terms)} photos, {len(scored)} faces, {scored.sum()} scored, {len(set(truth))} people\n")
    print("| vectors | evidence | BCubed F (95 % CI) | precision | recall | pairwise F | purity | groups | s |")
    print("| --- " * 9 + "|")
    print(_row("none", "the search term alone", terms.astype(np.int64), truth, 0.0))
    nothing = np.full_like(found.terms, -1)
    for bundle, settings in zip(bundles, (SETTINGS, BROUGHT), strict=True):
        for name, evidence in (("vectors alone", nothing), ("vectors and search term", found.terms)):
            started = time.perf_counter()
            groups = cluster(found.faces.vectors[bundle.name], found.faces.evidence(evidence), settings)
            spent = time.perf_counter() - started
            print(_row(bundle.name, name, groups.labels[scored], truth, spent), flush=True)
    _doubt(found.faces.vectors[bundles[0].name], truth, scored)


def _row(vectors: str, evidence: str, labels: Ints, truth: Ints, spent: float) -> str:
    score, low_high = bcubed(labels, truth), interval(labels, truth)
    return (
        f"| {vectors} | {evidence} | {score.f:.4f} ({low_high[0]:.3f}–{low_high[1]:.3f}) | {score.precision:.3f} | "
        f"{score.recall:.3f} | {pairwise(labels, truth).f:.4f} | {purity(labels, truth):.3f} | "
        f"{len(set(labels.tolist()))} | {spent:.1f} |"
    )


def _doubt(vectors: Vectors, truth: Ints, scored: npt.NDArray[np.bool_]) -> None:
    """People whom the vectors cannot tell apart at all: the mean cosine between them is that within them."""
    of, people = vectors[scored], np.unique(truth)
    means = np.stack([of[truth == person].mean(axis=0) for person in people])
    cosines = means @ means.T
    for a, b in zip(*np.triu_indices(len(people), 1), strict=True):
        if cosines[a, b] > min(cosines[a, a], cosines[b, b]):
            print(
                f"\nThe truth's people {people[a]} and {people[b]} have a mean cosine of {cosines[a, b]:.4f} with each"
            )
            print(f"other, and of {cosines[a, a]:.4f} and {cosines[b, b]:.4f} within: it may count one person as two.")


# ---- how the settings were chosen


def chosen_sets(bundles: Sequence[Bundle]) -> dict[str, tuple[Faces, Ints]]:
    """Faces and the person (photos,) of each photo, of three sets that are not the scrape."""
    patterns = {"celeba_small": "*/*.jpg", "lfw": "lfw-deepfunneled/*/*.jpg", "imfdb": "images/*/*.jpg"}
    return {name: _labelled(SHARED_DATA / name, pattern, bundles) for name, pattern in patterns.items()}


def _labelled(folder: Path, pattern: str, bundles: Sequence[Bundle]) -> tuple[Faces, Ints]:
    paths = sorted(folder.glob(pattern))
    _, people = np.unique([path.parent.name for path in paths], return_inverse=True)
    return faces_of((_framed(path, enlarge=folder.name != "lfw") for path in paths), bundles), people.astype(np.int64)


def _framed(path: Path, *, enlarge: bool) -> Picture:
    """Crops as small as celeba_small's and imfdb's are doubled and given a border, so that the detector sees a face."""
    picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    if enlarge:
        doubled = cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        picture = cv2.copyMakeBorder(doubled, 50, 50, 50, 50, cv2.BORDER_CONSTANT)
    return np.asarray(picture, np.uint8)


def planted(people: Ints, seed: int = 0) -> npt.NDArray[np.int32]:
    """Search terms that are right nine times in ten."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(len(people)) < 0.1, rng.permutation(people), people).astype(np.int32)


GRIDS = {
    "dlib-resnet": ((100.0, 150.0, 200.0), (0.9275, 0.93, 0.9325, 0.935, 0.9375)),
    "mobilefacenet": ((14.0, 20.0, 26.0, 36.0), (0.32, 0.36, 0.40, 0.44)),
}
FLOORS = (0.25, 0.5, 0.75, 1.5)


def choose() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        bundles = [cold_start(), mobilefacenet(Path(scratch) / "mobilefacenet")]
        sets = chosen_sets(bundles)
    for bundle in bundles:
        print(f"\n{bundle.name}: BCubed F of {', '.join(sets)}; alone, and with planted terms\n")
        print("| slope | threshold | floor | alone | mean | with terms | mean | mean of both |")
        print("| --- " * 8 + "|")
        slopes, thresholds = GRIDS[bundle.name]
        lines = []
        for slope, threshold, floor in product(slopes, thresholds, FLOORS):
            settings = replace(SETTINGS, calibration=Calibration(slope, -slope * threshold), floor=floor)
            alone, told = np.array([_both(bundle.name, *of, settings) for of in sets.values()]).T
            mean = (alone.mean() + told.mean()) / 2
            scores = " | ".join(f"{' '.join(f'{f:.3f}' for f in fs)} | {fs.mean():.4f}" for fs in (alone, told))
            lines.append((mean, f"| {slope:g} | {threshold:g} | {floor:g} | {scores} | {mean:.4f} |"))
        print("\n".join(line for _, line in sorted(lines, reverse=True)[:12]), flush=True)


def _both(backbone: str, faces: Faces, people: Ints, settings: Settings) -> tuple[float, float]:
    truth = people[faces.photo][faces.chosen]
    both = []
    for terms in (np.full(len(people), -1, np.int32), planted(people)):
        groups = cluster(faces.vectors[backbone], faces.evidence(terms), settings)
        both.append(bcubed(groups.labels[faces.chosen], truth).f)
    return both[0], both[1]


# ---- at scale


def made_up(n: int) -> tuple[Vectors, Ints]:
    """Vectors with the cosines of dlib's: 0.845 between people, 0.91–0.96 within; log-normal numbers of faces."""
    rng = np.random.default_rng(0)
    sizes = np.maximum(1, rng.lognormal(2.6, 0.9, n).astype(np.int64))
    count = int(np.searchsorted(np.cumsum(sizes), n)) + 1
    people = rng.permutation(np.repeat(np.arange(count), sizes[:count])[:n])
    common, centres, noise = (_directions(size, rng) for size in (1, count, n))
    blur = 0.01 + 0.11 * rng.beta(4, 6, (n, 1)).astype(np.float32)
    vectors = np.sqrt(0.845) * common + np.sqrt(0.105) * centres[people] + np.sqrt(blur) * noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), people


def _directions(n: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    made = rng.standard_normal((n, 128), np.float32)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)


def scale(n: int) -> None:
    small, _ = made_up(200)
    cluster(small, _alone(200))  # compiles
    vectors, people = made_up(n)
    print(f"{n} made-up vectors of {people.max() + 1} people\n")
    print("| step | BCubed F | s | peak memory so far, GB |\n| --- | --- | --- | --- |")
    terms = planted(people)
    for name, evidence in (("vectors alone", _alone(n)), ("with terms", replace(_alone(n), query=terms))):
        started = time.perf_counter()
        groups = cluster(vectors, evidence)
        print(_step(name, groups.labels, people, time.perf_counter() - started), flush=True)
    new = np.random.default_rng(1).permutation(n)[:1000]
    previous = groups.labels.copy()
    previous[new] = -1
    started = time.perf_counter()
    joined = extend(vectors, evidence, previous)
    print(_step("1,000 of them new", joined.labels, people, time.perf_counter() - started))


def _alone(n: int) -> Evidence:
    return Evidence(photo=np.arange(n), query=np.full(n, -1, np.int32), pinned=np.full(n, -1))


def _step(name: str, labels: Ints, people: Ints, spent: float) -> str:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return f"| {name} | {bcubed(labels, people).f:.4f} | {spent:.1f} | {peak:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--choose", action="store_true", help="show how the settings were chosen")
    parser.add_argument("--scale", type=int, metavar="N", help="time N made-up vectors")
    asked = parser.parse_args()
    if asked.choose:
        choose()
    elif asked.scale:
        scale(asked.scale)
    else:
        score_scrape()


if __name__ == "__main__":
    main()
