"""Local moves against every possible grouping of a few nodes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.core.potts import Graph, Groups, coarsest, local_moves

NONE = np.zeros(0, np.int64)


def groupings(n):
    """All ways to group n nodes, as labels."""
    ways = [[0]]
    for _ in range(n - 1):
        ways = [[*way, label] for way in ways for label in range(max(way) + 2)]
    return [np.array(way) for way in ways]


def worth(labels, edges, resolution, size):
    inside = sum(weight for one, other, weight in edges if labels[one] == labels[other])
    totals = np.bincount(labels, size)
    own = np.bincount(labels, size**2)
    return inside - resolution * (totals**2 - own).sum() / 2


@st.composite
def graphs(draw):
    n = draw(st.integers(2, 6))
    ends = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda pair: pair[0] < pair[1])
    edges = draw(st.lists(ends, unique=True, max_size=12))
    weights = draw(st.lists(st.integers(1, 9), min_size=len(edges), max_size=len(edges)))
    return n, [(a, b, float(weight)) for (a, b), weight in zip(edges, weights, strict=True)]


def groups_of(n, edges, **more):
    one, other, weight = (np.array(column) for column in zip(*edges, strict=True)) if edges else (NONE, NONE, NONE)
    plain = {"size": np.ones(n), "conflicts": (NONE, NONE), "pinned": np.zeros(n, np.bool_)} | more
    return Groups(graph=Graph.of(n, one, other, weight.astype(float)), **plain)


@settings(max_examples=200, deadline=None)
@given(graphs())
def test_no_single_node_could_gain_by_moving(case):
    n, edges = case

    labels = local_moves(groups_of(n, edges), np.arange(n), resolution=2.0, seed=0)

    best = worth(labels, edges, 2.0, np.ones(n))
    for node in range(n):
        for group in range(n):
            moved = labels.copy()
            moved[node] = group
            assert worth(moved, edges, 2.0, np.ones(n)) <= best + 1e-6


def random_graph(rng):
    n = int(rng.integers(2, 7))
    pairs = [(one, other) for one in range(n) for other in range(one + 1, n)]
    chosen = rng.choice(len(pairs), rng.integers(1, len(pairs) + 1), replace=False)
    return n, [(*pairs[index], float(rng.integers(1, 10))) for index in chosen]


def test_the_best_grouping_is_nearly_always_reached():
    """Local moves may end where no single one helps, as on a path whose middle was joined first; seldom, though."""
    rng = np.random.default_rng(0)
    reached, reached_by_some = [], []
    for _ in range(400):
        n, edges = random_graph(rng)
        best = max(worth(labels, edges, 2.0, np.ones(n)) for labels in groupings(n))
        found = [worth(coarsest(groups_of(n, edges), resolution=2.0, seed=s), edges, 2.0, np.ones(n)) for s in range(8)]
        assert min(found) >= 0
        if best > 0:
            reached.append(found[0] / best)
            reached_by_some.append(max(found) / best)

    assert np.mean(reached) > 0.99
    assert min(reached_by_some) > 0.9


def test_two_triangles_with_one_edge_between_them_stay_two():
    edges = [(0, 1, 3.0), (1, 2, 3.0), (0, 2, 3.0), (3, 4, 3.0), (4, 5, 3.0), (3, 5, 3.0), (2, 3, 3.0)]

    labels = coarsest(groups_of(6, edges), resolution=1.0, seed=0)

    assert len(set(labels[:3])) == len(set(labels[3:])) == 1
    assert labels[0] != labels[3]


def test_foes_never_meet_however_strong_their_edge():
    labels = coarsest(
        groups_of(3, [(0, 1, 99.0), (1, 2, 99.0)], conflicts=(np.array([0]), np.array([2]))), resolution=1.0, seed=0
    )

    assert labels[0] != labels[2]


def test_two_pinned_nodes_never_meet_however_strong_their_edge():
    labels = coarsest(groups_of(2, [(0, 1, 99.0)], pinned=np.ones(2, np.bool_)), resolution=1.0, seed=0)

    assert labels[0] != labels[1]


def test_only_movable_nodes_move():
    edges = [(0, 1, 9.0), (2, 3, 9.0)]

    labels = local_moves(groups_of(4, edges), np.arange(4), resolution=1.0, seed=0, movable=np.array([0]))

    assert labels.tolist() == [1, 1, 2, 3]


def test_edges_given_twice_add_up_and_loops_count_for_nothing():
    graph = Graph.of(3, np.array([0, 1, 2]), np.array([1, 0, 2]), np.array([1.0, 2.0, 5.0]))

    assert [column.tolist() for column in graph.edges] == [[0], [1], [3.0]]
