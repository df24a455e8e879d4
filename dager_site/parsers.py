"""What the calls of the API take as JSON: not without end, and text that can be kept. What is more than a form may have
(`DATA_UPLOAD_MAX_MEMORY_SIZE`), DRF refuses before."""

import json
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class SmallJson(JSONParser):
    def parse(self, *args: Any, **kwargs: Any) -> Any:
        try:
            parsed = super().parse(*args, **kwargs)
            json.dumps(parsed, ensure_ascii=False).encode()
        except RecursionError as error:
            raise ParseError("The JSON is nested too deep. Send what this call describes.") from error
        except UnicodeEncodeError as error:
            raise ParseError(f"The JSON holds half a character ({error.reason}). Send whole ones.") from error
        return parsed
