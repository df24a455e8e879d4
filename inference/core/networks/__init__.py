"""Our own networks, each known by its name."""

from inference.core.networks.dlib29 import dlib29
from inference.core.networks.iresnet import iresnet18, iresnet50
from inference.core.networks.mobilefacenet import mobilefacenet
from inference.core.networks.registry import NETWORKS, NetworkTaken, UnknownNetwork, build, register
from inference.core.networks.task import Mirrored, TaskNetwork, build_task
from inference.core.networks.trunk import Trunk

__all__ = [
    "NETWORKS",
    "Mirrored",
    "NetworkTaken",
    "TaskNetwork",
    "Trunk",
    "UnknownNetwork",
    "build",
    "build_task",
    "dlib29",
    "iresnet18",
    "iresnet50",
    "mobilefacenet",
    "register",
]
