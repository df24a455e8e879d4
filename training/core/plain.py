"""What goes into JSON: databases and browsers refuse what is no number."""

import math
from typing import Any


def plain(told: Any) -> Any:
    """The same with None for NaN and infinities, however deep they lie."""
    if isinstance(told, dict):
        return {name: plain(each) for name, each in told.items()}
    if isinstance(told, list | tuple):
        return [plain(each) for each in told]
    return None if isinstance(told, float) and not math.isfinite(told) else told
