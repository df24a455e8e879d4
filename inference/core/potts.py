"""The constant Potts model with forbidden pairs: grouping nodes by local moves, on ever coarser graphs."""

from dataclasses import dataclass
from typing import Self

import numba as nb
import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

SWEEPS = 20  # visits of each node on average; moves have long ceased by then
ROUNDS = 5  # from the finest graph to the coarsest and back; the second already changes little


@dataclass(frozen=True, eq=False)
class Graph:
    """An undirected weighted graph in rows: the neighbours of node i are `to[start[i] : start[i + 1]]`."""

    start: Ints  # (nodes + 1,)
    to: Ints  # (2 × edges,)
    weight: Floats  # (2 × edges,)

    @classmethod
    def of(cls, nodes: int, one: Ints, other: Ints, weight: Floats) -> Self:
        """From edges, each given once or more often; those given more often add up, loops count for nothing."""
        keep = one != other
        source, target = np.concatenate([one[keep], other[keep]]), np.concatenate([other[keep], one[keep]])
        keys, place = np.unique(source * nodes + target, return_inverse=True)
        start = np.searchsorted(keys, np.arange(nodes + 1) * nodes)
        total = np.bincount(place, np.tile(weight[keep], 2), len(keys))
        return cls(start, keys % nodes, total.astype(np.float64))

    @property
    def edges(self) -> tuple[Ints, Ints, Floats]:
        source = np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))
        once = source < self.to
        return source[once], self.to[once], self.weight[once]


@dataclass(frozen=True, eq=False)
class Groups:
    """Nodes to be grouped. Two nodes in conflict, or two pinned ones, are never put together."""

    graph: Graph
    size: Floats  # (nodes,): faces in each node
    conflicts: tuple[Ints, Ints]  # pairs of nodes
    pinned: Flags  # (nodes,)

    def merged(self, labels: Ints) -> tuple[Ints, "Groups"]:
        """Each label's nodes as one node: the new node of each old one, and the coarser graph."""
        names, node = np.unique(labels, return_inverse=True)
        count = len(names)
        one, other, weight = self.graph.edges
        return node, Groups(
            graph=Graph.of(count, node[one], node[other], weight),
            size=np.bincount(node, self.size, count).astype(np.float64),
            conflicts=(node[self.conflicts[0]], node[self.conflicts[1]]),
            pinned=np.bincount(node, self.pinned, count) > 0,
        )


def coarsest(groups: Groups, *, resolution: float, seed: int) -> Ints:
    """Labels (nodes,) by local moves on the graph, on the graph of its groups, and so on; then again from the start."""
    labels = np.arange(len(groups.size))
    for round_ in range(ROUNDS):
        before = labels
        labels = local_moves(groups, labels, resolution=resolution, seed=seed + round_)
        labels = _coarser(groups, labels, resolution, seed + round_)
        if round_ and _same(before, labels):
            break
    return labels


def _coarser(groups: Groups, labels: Ints, resolution: float, seed: int) -> Ints:
    while True:
        node, coarse = groups.merged(labels)
        count = len(coarse.size)
        moved = local_moves(coarse, np.arange(count), resolution=resolution, seed=seed)
        if len(np.unique(moved)) == count:
            return node
        labels = _coarser(coarse, moved, resolution, seed)[node]
        return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _same(one: Ints, other: Ints) -> bool:
    """Whether two labellings make the same groups."""
    pairs = len(np.unique(one * (int(other.max()) + 1) + other))
    return pairs == len(np.unique(one)) == len(np.unique(other))


def local_moves(groups: Groups, labels: Ints, *, resolution: float, seed: int, movable: Ints | None = None) -> Ints:
    """Move single nodes (all, or these) to the group where they gain most, until none gains by moving.

    `labels` (nodes,) lie below the number of nodes; unused ones are taken for new groups.
    """
    nodes = len(groups.size)
    order = np.random.default_rng(seed).permutation(np.arange(nodes) if movable is None else movable)
    may_move = np.ones(nodes, np.bool_) if movable is None else np.isin(np.arange(nodes), movable)
    foes = Graph.of(nodes, *groups.conflicts, np.ones(len(groups.conflicts[0])))
    found = labels.astype(np.int64).copy()
    graph = groups.graph
    _move(
        graph.start,
        graph.to,
        graph.weight,
        groups.size,
        foes.start,
        foes.to,
        groups.pinned,
        may_move,
        order,
        resolution,
        found,
    )
    return found


@nb.njit(cache=True)
def _move(start, to, weight, size, foe_start, foe_to, pinned, may_move, order, resolution, label):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Works on `label` in place. A queue of nodes whose neighbourhood changed (as in Leiden: Traag et al., 2019)."""
    nodes = len(size)
    total = np.zeros(nodes)  # faces in each group
    pins = np.zeros(nodes, np.int64)
    for node in range(nodes):
        total[label[node]] += size[node]
        pins[label[node]] += pinned[node]
    free = np.empty(nodes + 1, np.int64)  # labels that no node has
    spare = 0
    for group in range(nodes - 1, -1, -1):
        if total[group] == 0:
            free[spare] = group
            spare += 1
    queue = np.empty(nodes, np.int64)
    waiting = np.zeros(nodes, np.bool_)
    for place in range(len(order)):
        queue[place] = order[place]
        waiting[order[place]] = True
    head, count, budget, moves = 0, len(order), SWEEPS * nodes, 0
    to_group = np.zeros(nodes)  # weight of the edges from the node at hand to each group
    touched = np.empty(nodes, np.int64)
    seen = np.zeros(nodes, np.bool_)
    forbidden = np.zeros(nodes, np.bool_)
    while budget > 0:
        if count == 0:
            # Who joined a group may have made it worse for those in it whom no edge ties to it: ask everybody again.
            if moves == 0:
                break
            head, count, moves = 0, len(order), 0
            for place in range(len(order)):
                queue[place] = order[place]
                waiting[order[place]] = True
        node = queue[head]
        head = (head + 1) % nodes
        count -= 1
        budget -= 1
        waiting[node] = False
        own = label[node]
        met = 0
        for edge in range(start[node], start[node + 1]):
            group = label[to[edge]]
            if not seen[group]:
                seen[group] = True
                touched[met] = group
                met += 1
            to_group[group] += weight[edge]
        for edge in range(foe_start[node], foe_start[node + 1]):
            forbidden[label[foe_to[edge]]] = True
        best, gain = own, to_group[own] - resolution * size[node] * (total[own] - size[node])
        if gain < 0 and total[own] > size[node]:
            best, gain = -1, 0.0  # better alone
        for place in range(met):
            group = touched[place]
            if group == own or forbidden[group] or (pinned[node] and pins[group] > 0):
                continue
            candidate = to_group[group] - resolution * size[node] * total[group]
            if candidate > gain + 1e-9:
                best, gain = group, candidate
        for place in range(met):
            seen[touched[place]] = False
            to_group[touched[place]] = 0.0
        for edge in range(foe_start[node], foe_start[node + 1]):
            forbidden[label[foe_to[edge]]] = False
        if best == own:
            continue
        if best == -1:
            spare -= 1
            best = free[spare]
        total[own] -= size[node]
        total[best] += size[node]
        pins[own] -= pinned[node]
        pins[best] += pinned[node]
        label[node] = best
        moves += 1
        if total[own] == 0:
            free[spare] = own
            spare += 1
        for edge in range(start[node], start[node + 1]):
            other = to[edge]
            if may_move[other] and not waiting[other] and label[other] != best:
                waiting[other] = True
                queue[(head + count) % nodes] = other
                count += 1
