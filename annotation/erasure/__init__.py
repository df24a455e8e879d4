"""What must be forgotten, wholly: a photo, a face, a person, a source, and what is kept longer than it may be.

It goes in pieces of some photos. A piece's rows go in one transaction, which also writes down the files that have to
go; then those files go. So a kill at any moment leaves an erasure that goes on: what is left to do is a query. Whoever
writes about faces takes the turn that an erasure takes alone (`presence`), so nothing that was begun before comes back
after. At the end what only names ids in passing is looked through, the galleries are made anew, and a signed report
says what went.

Nothing that is frozen is rewritten. A release that holds what was erased is marked, is not handed out nor learnt from
any more, and the report names it with its models: whoever must not keep its bytes either removes its folder.

Chosen: a person's photos go wholly, others on them or not, unless `black_out` is asked for: then a photo that shows
others, too, goes on with the face blacked out, as a new picture without its old name, caption and metadata. A face that
is erased alone stays visible in its photo, unless it is blacked out; its crop, vectors, labels and lines go, and its
place is kept, so that it is not found again. A photo of two sources of which one is erased goes on under the other,
without what the first said of it.
"""

from annotation.erasure.again import erase_again
from annotation.erasure.asked import draft, lift_tombstones, request
from annotation.erasure.carrying_out import carry_out, due, erased, go_on
from annotation.erasure.files import sweep
from annotation.erasure.foreseen import Foreseen, dry_run
from annotation.erasure.report import is_genuine, stale_exports
from annotation.erasure.schedule import expire, expiring
from annotation.erasure.scope import count

__all__ = [
    "Foreseen",
    "carry_out",
    "count",
    "draft",
    "dry_run",
    "due",
    "erase_again",
    "erased",
    "expire",
    "expiring",
    "go_on",
    "is_genuine",
    "lift_tombstones",
    "request",
    "stale_exports",
    "sweep",
]
