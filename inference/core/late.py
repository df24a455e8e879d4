"""Modules that take long to import and that few processes need: imported when something of them is first asked for.

Whoever answers for a page, or counts rows, imports no torch: that is seconds of each start and hundreds of megabytes.

    if TYPE_CHECKING:
        from sklearn import linear_model
    else:
        linear_model = Late("sklearn.linear_model")
"""

from importlib import import_module
from typing import Any

_names: list[str] = []


class Late:
    """Stands for a module. Threads may be the first to ask at once: the import itself makes them wait."""

    def __init__(self, name: str) -> None:
        self._name = name
        _names.append(name)

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


def import_all() -> None:
    """Import all of them: before forking, so that the children share what they need anyway."""
    for name in _names:
        import_module(name)
