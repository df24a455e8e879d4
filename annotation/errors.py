"""What can go wrong while annotating. Each message says the value, the cause and what to do.

The API and the pages tell the same message, in English: programs and logs read them, so they are not translated.
"""


class AnnotationError(Exception):
    """Anything that a person or a client program can mend."""

    code = "annotation_error"


class QuestionClosed(AnnotationError):
    code = "question_closed"

    def __init__(self, question_id: int, state: str) -> None:
        super().__init__(
            f"Question {question_id} is {state}: it was answered or became pointless meanwhile. Ask for the next one."
        )


class QuestionHeld(AnnotationError):
    code = "question_held"

    def __init__(self, question_id: int) -> None:
        super().__init__(f"Question {question_id} is in somebody else's hands now. Ask for the next one.")


class BadAnswer(AnnotationError):
    code = "bad_answer"


class NotUndoable(AnnotationError):
    code = "not_undoable"


class BadAct(AnnotationError):
    """An act on a person's page that makes no sense, such as merging someone with themselves."""

    code = "bad_act"


class BadToken(AnnotationError):
    """A token that cannot be made: no name, no scope, an unknown one, a time that makes no sense."""

    code = "bad_token"


class BadIntake(AnnotationError):
    code = "bad_intake"


class SourceExists(AnnotationError):
    code = "source_exists"


class RightsNotStated(AnnotationError):
    code = "rights_not_stated"

    def __init__(self, sources: list[str]) -> None:
        names = ", ".join(repr(name) for name in sources[:5]) + (
            f" and {len(sources) - 5} more" if len(sources) > 5 else ""
        )
        super().__init__(
            f"Nothing can be exported: {names} states no licence or no legal basis. "
            "State both on the source's page, then export again."
        )


class BadReleaseQuery(AnnotationError):
    code = "bad_release_query"


class ReleaseExists(AnnotationError):
    code = "release_exists"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is a release named {name!r} already, and a release is never edited. Choose another name."
        )


class QueueAway(AnnotationError):
    """Of what no sweep would find: all else is sent later."""

    code = "queue_away"

    def __init__(self) -> None:
        super().__init__("The queue does not answer, so nobody was told to do it. Try again in a minute.")


class ReleaseNotDone(AnnotationError):
    code = "release_not_done"

    def __init__(self, name: str, state: str, error: str = "") -> None:
        because = f" ({error})" if error else ""
        then = "Freeze another one." if state == "failed" else "Wait until it is done."
        super().__init__(f"Release {name!r} is {state}{because}. {then}")


class ReleaseDamaged(AnnotationError):
    """Its folder is not what was frozen, or is gone."""

    code = "release_damaged"


class ReleaseHasErased(AnnotationError):
    code = "release_has_erased"

    def __init__(self, name: str, photos: int) -> None:
        super().__init__(
            f"{photos} of the photos of release {name!r} were erased after it was frozen, so it is "
            "not handed out any more. Freeze a new one: it leaves them out, and its test part goes on from this one's."
        )


class RunNotProposed(AnnotationError):
    code = "run_not_proposed"

    def __init__(self, run_id: int, state: str) -> None:
        super().__init__(f"Clustering run {run_id} is {state}; only a proposed run can be applied or discarded.")


class RunOutdated(AnnotationError):
    code = "run_outdated"

    def __init__(self, run_id: int) -> None:
        super().__init__(
            f"Clustering run {run_id} was proposed before the latest decisions and would contradict them. "
            "Discard it and start a new run."
        )


class ClusteringUnderWay(AnnotationError):
    code = "clustering_under_way"

    def __init__(self) -> None:
        super().__init__("A clustering run is under way. Wait until it is done, then start another.")


class LedgerIsAppendOnly(Exception):
    def __init__(self) -> None:
        super().__init__(
            "A line of the ledger is never edited or removed. Write a later line that undoes it: ledger.undo()."
        )


class BadSetting(AnnotationError):
    code = "bad_setting"


class AccountRefused(AnnotationError):
    code = "account_refused"


class AuditIsAppendOnly(Exception):
    def __init__(self) -> None:
        super().__init__("A line of the audit log is never edited or removed. Write another one: audit.write().")


class NothingToRehearse(AnnotationError):
    code = "nothing_to_rehearse"

    def __init__(self, source: str, what: str) -> None:
        super().__init__(
            f"The source {source!r} has no known {what}. Import a labelled set with `manage.py import_labelled`, "
            "or name what it knows with --what."
        )


class AnnotatorPaused(AnnotationError):
    code = "annotator_paused"

    def __init__(self, because: str) -> None:
        super().__init__(f"You are paused: {because} Ask a curator to talk it over and let you back.")


class BadFeedback(AnnotationError):
    """A correction that cannot become a question; `field` is what has to be sent otherwise.

    Its code is one of these, or that of the photo's refusal.
    """

    CODES = ("not_to_be_kept", "unknown_attribute", "never_asked", "unknown_value", "erased")

    def __init__(self, code: str, message: str, field: str) -> None:
        super().__init__(message)
        self.code = code
        self.field = field


class KeyReused(AnnotationError):
    code = "key_reused"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"The idempotency key {key!r} came with another request before. Make a new key for each request."
        )


class KeyInHand(AnnotationError):
    code = "key_in_hand"

    def __init__(self, key: str) -> None:
        super().__init__(f"The request with the idempotency key {key!r} is still being answered. Send it again later.")


class BadErasure(AnnotationError):
    """An erasure or a legal hold that makes no sense; `field` is what has to be said otherwise."""

    code = "bad_erasure"

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class HeldBack(AnnotationError):
    code = "held_back"

    def __init__(self, holds: list[str], photos: list[int]) -> None:
        shown = ", ".join(str(pk) for pk in photos[:5]) + (" and more" if photos[5:] else "")
        what = f" It keeps photo {shown}." if photos else ""
        super().__init__(
            f"Nothing is erased: {'; '.join(holds) or 'a legal hold'} stands in the way.{what} "
            "An admin can lift it, with a reason, on the page Legal holds or by `manage.py hold lift`."
        )
