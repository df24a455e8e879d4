"""Networks by name: a bundle says which one its weights are for."""

from collections.abc import Callable
from difflib import get_close_matches

from inference.core.architectures import ARCHITECTURES
from inference.core.networks.trunk import Trunk

Builder = Callable[[int], Trunk]
NETWORKS: dict[str, Builder] = {}


class UnknownNetwork(ValueError):
    def __init__(self, name: str) -> None:
        near = get_close_matches(name, NETWORKS, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(f"There is no network {name!r}.{meant} Known are: {', '.join(sorted(NETWORKS))}.")


class NetworkTaken(ValueError):
    def __init__(self, name: str) -> None:
        super().__init__(f"A network is registered as {name!r} already. Give the other one a name of its own.")


def register(name: str) -> Callable[[Builder], Builder]:
    """Make a network known by this name. Raises NetworkTaken."""

    def keep(builder: Builder) -> Builder:
        if name in NETWORKS:
            raise NetworkTaken(name)
        NETWORKS[name] = builder
        if name not in ARCHITECTURES:
            ARCHITECTURES.append(name)
        return builder

    return keep


def build(name: str, dimensions: int) -> Trunk:
    """The network of this name with fresh weights and an embedding of so many dimensions. Raises UnknownNetwork."""
    if name not in NETWORKS:
        raise UnknownNetwork(name)
    return NETWORKS[name](dimensions)
