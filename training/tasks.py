"""Training on the belt: ids in, nothing out; each is safe to run twice, and the sweep finds what a crash left."""

from celery import shared_task

from training import loop, promotion, runs


@shared_task(acks_late=True)
def train(run_id: int) -> None:
    """Carry out a training that waits; one that somebody else has in hand is left alone."""
    runs.carry_out(run_id)


@shared_task(acks_late=True)
def prepare(promotion_id: int, face_ids: list[int]) -> None:
    """Let a candidate look at these faces; those that it has seen are left alone."""
    promotion.look(promotion_id, face_ids)
    feed()


@shared_task(acks_late=True)
def finish(promotion_id: int) -> None:
    """Make a candidate live that has looked at every face; with somebody else at it, nothing is done."""
    promotion.finish(promotion_id)


@shared_task(acks_late=True)
def drop_old() -> None:
    """Drop what models said that are long retired."""
    promotion.drop_old()


@shared_task
def consider() -> None:
    """Beat runs this: whether it is worth training again, and what was trained so is to be promoted."""
    loop.consider()
    loop.promote_trained()


def feed() -> None:
    """Send the next batches of the promotion under way."""
    promotion.feed(prepare.delay, finish.delay)


@shared_task
def sweep() -> None:
    """Beat runs this: trainings that wait, or whose worker died, go on the belt again; so do promotions."""
    loop.go_on()
    runs.forget_crops()
    for run in runs.due()[:1]:
        train.delay(run.pk)
    feed()
    if promotion.to_drop():
        drop_old.delay()
