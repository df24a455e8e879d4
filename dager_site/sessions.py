"""Sessions in the database, as Django keeps them; each request reads one, by a query that is written down once."""

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils import timezone

from annotation.prepared import Prepared

_found = Prepared[Session](
    lambda key, now: Session.objects.filter(session_key=key, expire_date__gt=now)  # as the store of Django asks
)


class SessionStore(db.SessionStore):
    def _get_session_from_db(self) -> Session | None:
        for session in _found(self.session_key or "", timezone.now()):
            return session
        self._session_key = None
        return None
