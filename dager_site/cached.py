"""What the cache holds, as JSON: whoever can write to Redis must not be able to have the web processes run anything."""

import json
from typing import Any


class Json:
    """Django's own is pickle. Whole numbers stay bare, as Redis itself counts them up."""

    def dumps(self, value: Any) -> int | bytes:
        return value if type(value) is int else json.dumps(value).encode()

    def loads(self, kept: bytes) -> Any:
        return json.loads(kept)
