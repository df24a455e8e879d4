"""What the calls of the API take as JSON: not more than a form may have, not without end, and text that can be kept."""

import io
import json
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class SmallJson(JSONParser):
    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        sent = stream.read(limit + 1)
        if len(sent) > limit:
            raise ParseError(f"The JSON has more than {limit / 1e6:g} MB. Send it in parts.")
        try:
            parsed = super().parse(io.BytesIO(sent), media_type, parser_context)
            json.dumps(parsed, ensure_ascii=False).encode()
        except RecursionError as error:
            raise ParseError("The JSON is nested too deep. Send what this call describes.") from error
        except UnicodeEncodeError as error:
            raise ParseError(f"The JSON holds half a character ({error.reason}). Send whole ones.") from error
        return parsed
