"""Training on the belt: ids in, nothing out; each is safe to run twice, and the sweep finds what a crash left."""

from celery import shared_task

from training import runs


@shared_task(acks_late=True)
def train(run_id: int) -> None:
    """Carry out a training that waits; one that somebody else has in hand is left alone."""
    runs.carry_out(run_id)


@shared_task
def sweep() -> None:
    """Beat runs this: trainings that wait, or whose worker died, go on the belt again."""
    for run in runs.due()[:1]:
        train.delay(run.pk)
