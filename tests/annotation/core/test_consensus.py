"""Answers weighed by reliability beat counting them, and nobody's few answers make them infallible."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.core.consensus import Votes, believed, dawid_skene, next_step, pair_settled, starting


def a_crowd(seed: int, right: list[float], items: int = 400, classes: int = 2, answers: int = 5):
    """Votes of people who are right so often and otherwise err evenly; `answers` of them about each item."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=items)
    voter = np.concatenate([rng.choice(len(right), answers, replace=False) for _ in range(items)])
    item = np.repeat(np.arange(items), answers)
    correct = rng.random(len(item)) < np.array(right)[voter]
    value = np.where(correct, truth[item], (truth[item] + rng.integers(1, classes, len(item))) % classes)
    return Votes(item, voter, value), truth


def majority(votes: Votes, items: int, classes: int) -> np.ndarray:
    return np.bincount(votes.item * classes + votes.value, minlength=items * classes).reshape(items, classes).argmax(1)


def test_the_reliable_outvote_the_many():
    votes, truth = a_crowd(0, [0.97, 0.97, *[0.55] * 6])

    found = dawid_skene(votes, items=400, voters=8, classes=2)

    right = (found.belief.argmax(1) == truth).mean()
    assert right > 0.93
    assert right > (majority(votes, 400, 2) == truth).mean() + 0.05
    assert found.confusion[:2].diagonal(axis1=1, axis2=2).min() > found.confusion[2:].diagonal(axis1=1, axis2=2).max()


def test_somebody_who_means_the_opposite_is_understood():
    votes, truth = a_crowd(1, [0.9, 0.9, 0.9, 0.9, 0.05], answers=4)

    found = dawid_skene(votes, items=400, voters=5, classes=2)

    assert found.confusion[4].diagonal().max() < 0.4
    assert (found.belief.argmax(1) == truth).mean() > (majority(votes, 400, 2) == truth).mean()


def test_reliability_is_known_by_class():
    """One person takes every sad face for a neutral one."""
    rng = np.random.default_rng(2)
    truth = rng.integers(3, size=600)
    item, voter = np.repeat(np.arange(600), 3), np.tile(np.arange(3), 600)
    value = truth[item].copy()
    value[(voter == 2) & (value == 1)] = 0
    found = dawid_skene(Votes(item, voter, value), items=600, voters=3, classes=3)

    assert found.confusion[2, 1].argmax() == 0
    assert found.confusion[2, 2, 2] > 0.9
    assert (found.belief.argmax(1) == truth).all()


@given(st.integers(0, 1_000))
def test_names_of_voters_and_classes_do_not_matter(seed: int):
    votes, _ = a_crowd(seed, [0.9, 0.8, 0.7, 0.6], items=30, classes=3, answers=3)
    rng = np.random.default_rng(seed)
    people, classes = rng.permutation(4), rng.permutation(3)

    found = dawid_skene(votes, items=30, voters=4, classes=3)
    renamed = dawid_skene(Votes(votes.item, people[votes.voter], classes[votes.value]), items=30, voters=4, classes=3)

    assert renamed.belief[:, classes] == pytest.approx(found.belief, abs=1e-6)


@given(st.integers(0, 1_000))
def test_beliefs_and_confusions_are_distributions(seed: int):
    votes, _ = a_crowd(seed, [0.9, 0.5], items=20, classes=4, answers=2)

    found = dawid_skene(votes, items=22, voters=3, classes=4)  # two items and one voter without a vote

    assert found.belief.sum(axis=1) == pytest.approx(np.ones(22))
    assert found.confusion.sum(axis=2) == pytest.approx(np.ones((3, 4)))


def test_one_answer_makes_nobody_infallible():
    found = dawid_skene(Votes(np.array([0]), np.array([0]), np.array([1])), items=1, voters=1, classes=2)

    assert 0.6 < found.belief[0, 1] < 0.9


def test_few_answers_about_seven_classes_do_not_make_the_rare_ones_explain_all():
    """As a control slice begins: three people, right in 0.75, and classes of which some are rare."""
    rng = np.random.default_rng(0)
    truth = rng.choice(7, size=160, p=[0.34, 0.27, 0.14, 0.11, 0.08, 0.04, 0.02])
    item = np.repeat(np.arange(160), 3)
    said = np.where(rng.random(480) < 0.75, truth[item], rng.integers(0, 7, 480))

    votes = Votes(item, np.tile(np.arange(3), 160), said)
    found = dawid_skene(votes, items=160, voters=3, classes=7, machine=np.full((160, 7), 1 / 7))

    assert np.mean(found.belief.argmax(axis=1) == truth) > 0.85  # with a tenth of OF_NOBODY it is 0.79


@pytest.mark.parametrize(
    ("classes", "frequent", "answers", "people"), [(2, 0.85, 3, 5), (2, 0.85, 1, 5), (7, 0.34, 3, 5), (7, 0.34, 1, 20)]
)
@pytest.mark.parametrize("items", [30, 300, 2_000])
def test_few_answers_of_alike_people_are_weighed_no_worse_than_they_are_counted(
    classes: int, frequent: float, answers: int, people: int, items: int
):
    """Where one class is frequent and the machine says nothing. With a flat guess it was up to 0.09 worse."""
    weighed, counted = [], []
    rest = np.array([0.27, 0.14, 0.11, 0.08, 0.04, 0.02]) if classes == 7 else np.array([0.15])
    for seed in range(4 if items == 2_000 else 20):
        rng = np.random.default_rng(seed)
        truth = rng.choice(classes, size=items, p=np.array([frequent, *rest]))
        voter = np.concatenate([rng.choice(people, answers, replace=False) for _ in range(items)])
        item = np.repeat(np.arange(items), answers)
        slipped = (truth[item] + rng.integers(1, classes, len(item))) % classes
        votes = Votes(item, voter, np.where(rng.random(len(item)) < 0.75, truth[item], slipped))

        silent = np.full((items, classes), 1 / classes)
        belief = dawid_skene(votes, items=items, voters=people, classes=classes, machine=silent).belief

        weighed.append((belief.argmax(axis=1) == truth).mean())
        counts = np.bincount(item * classes + votes.value, minlength=items * classes).reshape(items, classes)
        most = counts == counts.max(axis=1, keepdims=True)
        counted.append((most[np.arange(items), truth] / most.sum(axis=1)).mean())  # ties by chance

    gain = np.array(weighed) - np.array(counted)
    assert gain.mean() > -2 * gain.std(ddof=1) / len(gain) ** 0.5 - 0.003


def test_where_the_machine_says_nothing_an_item_starts_from_what_most_are():
    votes, _ = a_crowd(7, [0.9, 0.9, 0.9], items=90, classes=3, answers=3)
    everywhere = Votes(votes.item, votes.voter, np.where(votes.item < 80, 2, votes.value))
    machine = np.zeros((92, 3))  # no word at all is no word for any class
    machine[91] = [0.2, 0.6, 0.2]

    found = dawid_skene(everywhere, items=92, voters=3, classes=3, machine=machine)

    assert found.frequency[2] > 0.8
    assert found.belief[90] == pytest.approx(found.frequency)  # nobody spoke of it
    assert found.belief[91] == pytest.approx(machine[91])


def test_one_answer_each_drifts_to_no_class():
    """Frequencies learnt anew from every round's beliefs gave all to the most frequent one."""
    rng = np.random.default_rng(8)
    truth = rng.choice(7, size=500, p=[0.34, 0.27, 0.14, 0.11, 0.08, 0.04, 0.02])
    value = np.where(rng.random(500) < 0.8, truth, rng.integers(0, 7, 500))

    found = dawid_skene(Votes(np.arange(500), rng.integers(0, 10, 500), value), items=500, voters=10, classes=7)

    assert (found.belief.argmax(axis=1) == value).mean() > 0.95
    assert found.belief.max() < 0.98  # and nothing is settled


def test_a_machine_that_gives_no_numbers_is_refused():
    """One row of them made nonsense of what was learnt of everybody."""
    machine = np.array([[0.5, 0.5], [np.nan, 0.5]])

    with pytest.raises(ValueError, match="not numbers for 2 items"):
        dawid_skene(Votes(np.array([0]), np.array([0]), np.array([0])), items=2, voters=1, classes=2, machine=machine)


@pytest.mark.parametrize("gold", [[0, 2], [0, -2]])
def test_gold_from_nowhere_is_refused(gold: list[int]):
    vote = Votes(np.array([0]), np.array([0]), np.array([0]))

    with pytest.raises(ValueError, match="gold lies outside of -1 to 1"):
        dawid_skene(vote, items=2, voters=1, classes=2, gold=np.array(gold))


NOBODY = np.zeros(0, np.int64)
HOSTILE = {
    "nobody said anything": Votes(NOBODY, NOBODY, NOBODY),
    "one voter": Votes(np.arange(40), np.zeros(40, int), np.arange(40) % 3),
    "always the same": Votes(np.arange(40), np.zeros(40, int), np.zeros(40, int)),
    "only denials": Votes(np.arange(40), np.arange(40) % 4, np.arange(40) % 3, np.ones(40, bool)),
    "all classes denied": Votes(np.repeat(np.arange(10), 3), np.tile(np.arange(3), 10), np.tile(np.arange(3), 10),
                                np.ones(30, bool)),
    "one voter again and again": Votes(np.zeros(40, int), np.zeros(40, int), np.zeros(40, int)),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_is_said_beliefs_stay_distributions(name: str):
    found = dawid_skene(HOSTILE[name], items=41, voters=4, classes=3)

    for each in (found.belief, found.confusion, found.frequency):
        assert each.sum(axis=-1) == pytest.approx(np.ones(each.shape[:-1]))
        assert each.min() >= 0
    if name != "one voter again and again":
        assert found.belief.max() < 0.99  # no single voice settles anything


def test_a_little_gold_that_contradicts_all_teaches_that_they_mean_the_opposite():
    """By their agreement on all others they were believed, and the known answers were taken for slips."""
    votes, truth = a_crowd(9, [0.1] * 5, answers=3)

    found = dawid_skene(votes, items=400, voters=5, classes=2, gold=np.where(np.arange(400) < 25, truth, -1))

    assert (found.belief[25:].argmax(axis=1) == truth[25:]).mean() > 0.95
    assert found.confusion.diagonal(axis1=1, axis2=2).max() < 0.3


def test_the_machine_is_a_voter():
    votes = Votes(np.array([0, 1]), np.array([0, 0]), np.array([0, 0]))
    machine = np.array([[0.99, 0.01], [0.01, 0.99]])

    found = dawid_skene(votes, items=2, voters=1, classes=2, machine=machine)

    assert found.belief[0, 0] > 0.99
    assert found.belief[1, 0] < 0.5


def test_gold_is_not_argued_with_and_teaches_who_errs():
    votes, truth = a_crowd(3, [0.95, 0.95, 0.3, 0.3, 0.3], answers=5)
    gold = np.where(np.arange(400) < 60, truth, -1)

    found = dawid_skene(votes, items=400, voters=5, classes=2, gold=gold)

    assert (found.belief[:60].argmax(1) == truth[:60]).all()
    assert (found.belief.argmax(1) == truth).mean() > 0.95  # three who mostly lie, and two who do not


def test_the_belief_of_one_item_is_that_of_all_together():
    votes, _ = a_crowd(4, [0.9, 0.8, 0.7, 0.9], answers=4)
    machine = np.full((400, 2), 0.5)
    found = dawid_skene(votes, items=400, voters=4, classes=2, machine=machine)
    of = votes.item == 7

    start = starting(machine[:1], found.frequency)
    alone = believed(Votes(np.zeros(4, int), votes.voter[of], votes.value[of]), start, found.confusion)

    assert alone[0] == pytest.approx(found.belief[7], abs=1e-3)


def test_between_two_values_a_denial_is_the_other_one():
    votes, _ = a_crowd(5, [0.9, 0.8, 0.7], answers=3)
    denied = np.arange(len(votes.item)) % 3 == 0
    turned = Votes(votes.item, votes.voter, np.where(denied, 1 - votes.value, votes.value), denied)

    plain, marked = (dawid_skene(each, items=400, voters=3, classes=2) for each in (votes, turned))

    assert marked.belief == pytest.approx(plain.belief, abs=1e-9)
    assert marked.confusion == pytest.approx(plain.confusion, abs=1e-9)


def test_a_denial_rules_out_one_value_and_leaves_the_others_as_they_were():
    prior = np.array([[0.6, 0.3, 0.1]])
    nobody = np.eye(3)[None] * 0.9 + 0.1 / 3

    (belief,) = believed(Votes(np.array([0]), np.array([0]), np.array([0]), np.array([True])), prior, nobody)

    assert belief[0] < 0.1
    assert belief[1] / belief[2] == pytest.approx(3)


def test_who_mostly_marks_is_learnt_like_who_mostly_names():
    votes, _ = a_crowd(6, [0.97, 0.97, *[0.5] * 4], classes=3, answers=4)
    shown = np.random.default_rng(0).integers(3, size=len(votes.item))  # each sees one value, and says yes or no to it
    said = Votes(votes.item, votes.voter, shown, votes.value != shown)

    found = dawid_skene(said, items=400, voters=6, classes=3)

    reliable = np.array([each.diagonal().mean() for each in found.confusion])
    assert reliable[:2].min() > reliable[2:].max() + 0.1


def test_what_people_right_in_three_of_four_settle_is_as_right_as_it_is_believed():
    """As an answer arrives: each weighed by what was learnt from the answers before, its own item's among them."""
    settled, wrong = 0, 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        truth = rng.integers(7, size=160)
        voter = np.concatenate([rng.choice(10, 4, replace=False) for _ in range(160)])
        item = np.repeat(np.arange(160), 4)
        slipped = (truth[item] + rng.integers(1, 7, 640)) % 7
        votes = Votes(item, voter, np.where(rng.random(640) < 0.75, truth[item], slipped))
        silent = np.full((160, 7), 1 / 7)
        found = dawid_skene(votes, items=160, voters=10, classes=7, machine=silent)

        belief = believed(votes, starting(silent, found.frequency), found.confusion)

        sure = belief.max(axis=1) >= 0.98
        settled += int(sure.sum())
        wrong += int((belief.argmax(axis=1) != truth)[sure].sum())

    assert settled > 4_000
    assert wrong / settled < 0.016  # with half of OF_POOL it is 0.022


def test_what_happens_next():
    sure, unsure = np.array([0.995, 0.005]), np.array([0.6, 0.4])

    assert next_step(sure, 1) == "settled"
    assert next_step(sure, 0) == "ask"  # the machine alone settles nothing
    assert next_step(unsure, 3) == "ask"
    assert next_step(unsure, 7) == "curator"
    assert next_step(sure, 1, least=2) == "ask"


@pytest.mark.parametrize("bad", [{"items": 1}, {"voters": 1}, {"classes": 1}])
def test_a_vote_from_nowhere_is_refused(bad: dict[str, int]):
    sizes = {"items": 2, "voters": 2, "classes": 2} | bad

    with pytest.raises(ValueError, match="outside of 0 to 0"):
        dawid_skene(Votes(np.array([1]), np.array([1]), np.array([1])), **sizes)


def test_votes_of_uneven_length_are_refused():
    with pytest.raises(ValueError, match="differ"):
        Votes(np.zeros(2, np.int64), np.zeros(1, np.int64), np.zeros(2, np.int64))


@pytest.mark.parametrize(
    ("belief", "same", "different", "settled"),
    [
        (0.9, 1, 0, "same"),
        (0.5, 1, 0, None),  # a coin and one answer: a slip in thirty would merge two people
        (0.2, 1, 0, None),
        (0.2, 2, 0, "same"),
        (0.2, 0, 1, "different"),
        (0.9, 0, 1, None),
        (1.0, 0, 2, "different"),  # no machine is so sure that two people cannot say otherwise
        (0.5, 1, 1, None),
        (0.05, 2, 1, "same"),  # three answers: the majority
    ],
)
def test_two_people_are_merged_once_the_answers_outweigh_the_machine(belief, same, different, settled):
    assert pair_settled(belief, same, different) == settled
