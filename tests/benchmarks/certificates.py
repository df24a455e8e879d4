"""How often the promise of a certificate is broken, by our rule and by the naive one, and what it lets through.

python -m tests.benchmarks.certificates

400 simulated audits each: proposals whose error falls with their confidence, of which a random sample is audited and
looked at after every 50 answers. A promise is broken if at any look the accepted region's true error is above the
target of 1 %. The naive rule accepts the loosest threshold whose sample shows at most 1 %.
"""

from collections.abc import Callable

import numpy as np
from scipy.stats import beta

from annotation.core.certificate import TARGET, certify, thresholds
from tests.benchmarks.shared_data import share

AUDITS, ANSWERS, LOOKS = 400, 2_000, range(50, 2_001, 50)
RANK = np.linspace(0, 1, 20_001)  # of a proposal among all, the most confident first
# The error of the proposal at each rank; the machine knows their order, and its confidence is 1 minus that error / 2.
MACHINES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "errs where it is unsure": lambda rank: 0.5 * rank**8,  # 5.6 % on average, as gender at the cold start
    "hardly errs": lambda rank: 0.002 + 0.004 * rank,
    "just too often everywhere": lambda rank: 0.0102 + 1e-6 * rank,
    "too often": lambda rank: 0.02 + 0.1 * rank,
}
Rule = Callable[[np.ndarray, np.ndarray, list[float]], float | None]


def ours(confidence: np.ndarray, wrong: np.ndarray, sequence: list[float]) -> float | None:
    found = certify(confidence, wrong, np.zeros(len(wrong)), sequence)
    return None if found is None else found.threshold


def naive(confidence: np.ndarray, wrong: np.ndarray, sequence: list[float]) -> float | None:
    fits = [t for t in sequence if (confidence >= t).any() and wrong[confidence >= t].mean() <= TARGET]
    return min(fits) if fits else None


def single_look(confidence: np.ndarray, wrong: np.ndarray, sequence: list[float]) -> float | None:
    """Fixed-sequence Clopper–Pearson, which is valid for one look only."""
    found = None
    for threshold in sequence:
        inside = confidence >= threshold
        audited, errors = int(inside.sum()), int(wrong[inside].sum())
        if audited == errors or beta.ppf(0.95, errors + 1, audited - errors) > TARGET:
            break
        found = threshold
    return found


def audit(rule: Rule, error: np.ndarray, seed: int) -> tuple[bool, float]:
    """Whether the promise was ever broken, and the largest share of all proposals that was ever accepted."""
    rng = np.random.default_rng(seed)
    sequence = thresholds(1 - error / 2)
    drawn = rng.integers(len(error), size=ANSWERS)
    confidence, wrong = 1 - error[drawn] / 2, rng.random(ANSWERS) < error[drawn]
    broke, accepted = False, 0.0
    for answers in LOOKS:
        threshold = rule(confidence[:answers], wrong[:answers], sequence)
        if threshold is not None:
            inside = 1 - error / 2 >= threshold
            accepted = max(accepted, float(inside.mean()))
            broke |= bool(error[inside].mean() > TARGET)
    return broke, accepted


def best(error: np.ndarray) -> float:
    """The share that could be accepted if everything were known."""
    return float((np.cumsum(error) / np.arange(1, len(error) + 1) <= TARGET).mean())


def main() -> None:
    print("| machine | rule | promise kept | most ever accepted, of what might be |\n| --- | --- | --- | --- |")
    for name, machine in MACHINES.items():
        error = machine(RANK)
        for title, rule in (("ours", ours), ("Clopper–Pearson, one look", single_look), ("naive", naive)):
            broke, accepted = zip(*(audit(rule, error, seed) for seed in range(AUDITS)), strict=True)
            kept = share(AUDITS - sum(broke), AUDITS)
            print(f"| {name} | {title} | {kept} | {np.mean(accepted):.0%} of {best(error):.0%} |", flush=True)


if __name__ == "__main__":
    main()
