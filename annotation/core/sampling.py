"""Which faces chance picks: by hash, so that the same are picked however often and by whomever it is asked."""

from hashlib import blake2b

CONTROL = 0.02  # of all faces, unless set otherwise
_STEPS = 2**64


def draw(key: str, purpose: str) -> float:
    """A number in [0, 1) that is as good as random, and always the same for this key and purpose.

    `key` is what a face stays itself by (its photo's SHA-256 and its number), not an id: a corpus taken in anew has
    the same control slice. Draws for two purposes are independent of one another.
    """
    digest = blake2b(key.encode(), digest_size=8, person=purpose.encode()[:16]).digest()
    return int.from_bytes(digest, "big") / _STEPS


def face_key(sha256: str, number: int) -> str:
    """What a face stays itself by, in whatever database: its photo, and its number within it."""
    return f"{sha256}-{number}"


def in_control_slice(key: str, share: float = CONTROL) -> bool:
    """Whether people always answer about this face blind. A larger share only adds faces.

    Raises ValueError for a share that is none.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"The control slice cannot be {share} of all faces. Set a share from 0 to 1, such as 0.02.")
    return draw(key, "control") < share


def is_audited(key: str, certificate: str, rate: float) -> bool:
    """Whether a proposal that is accepted under this certificate is looked at by a person all the same."""
    return draw(f"{certificate}/{key}", "audit") < rate
