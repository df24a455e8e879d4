"""The in-machine queue: kombu's folder of messages, each of them there whole or not at all.

Kombu's own channel shows a message before it is written: a worker that looks at that moment, or after a full disk or
a killed writer, finds an empty file and dies of it.
"""

import logging
import os
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps, loads

log = logging.getLogger(__name__)


class Channel(filesystem.Channel):
    def _put(self, queue: str, payload: Any, **options: Any) -> None:  # type: ignore[override]
        folder = Path(self.data_folder_out)
        part = folder / f".{uuid.uuid4().hex}.part"
        try:
            part.write_text(dumps(payload))  # type: ignore[no-untyped-call]
            part.rename(folder / f"{time.time_ns()}_{part.name[1:33]}.{queue}.msg")
        except OSError as error:
            part.unlink(missing_ok=True)
            raise ChannelError(f"No message can be written to {folder}: {error}") from error

    def _get(self, queue: str) -> Any:  # type: ignore[override]
        """The oldest message. Renaming it takes it: of two workers one finds it gone and goes on to the next."""
        folder = Path(self.data_folder_in)
        for name in sorted(os.listdir(folder)):
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            taken = folder / f".{uuid.uuid4().hex}.taken"
            try:
                (folder / name).rename(taken)
            except FileNotFoundError:
                continue
            content = taken.read_text()
            taken.unlink()
            try:
                return loads(content)  # type: ignore[no-untyped-call]
            except ValueError:
                log.warning("Message %s is damaged and was thrown away. The sweep sends its work again.", name)
        raise Empty


class Transport(filesystem.Transport):
    Channel = Channel
