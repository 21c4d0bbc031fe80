"""What can go wrong with trainings."""

from core.errors import Conflict, Invalid, NotFound


class TrainingOff(NotFound):
    """This service doesn't train styles."""


class TrainingMoved(Conflict):
    """The training has changed since you opened this page. Reload it to see the current state."""

    for_programs = "The training has moved on in the meantime. Get it again to see where it is."


class NotEvaluable(Conflict):
    """This can't be checked: the texts were deleted, or the version is not available."""


class TooManyEvaluations(Conflict):
    """You've reached the limit of checks per day ({most}). Try again tomorrow."""


class NothingToTrain(Conflict):
    """These texts only check a version. Nothing is trained on them."""


class NoDocuments(Conflict):
    """There is no text to learn from yet. Add at least one document."""


class StillReading(Conflict):
    """We're still reading {count} of your documents. Try again in a moment."""


class TooManyWords(Conflict):
    """Your texts have {words:,} words; your plan allows {most:,} per training. Leave some out, or upgrade
    your plan."""


class TooManyTrainings(Conflict):
    """You've reached your plan's limit of trainings in progress ({most}). Wait for one to finish, or upgrade
    your plan."""


class NoTrainingsInPlan(Conflict):
    """Your plan doesn't include trainings. Upgrade your plan."""


class TrainingsUsedUp(Conflict):
    """You've reached your plan's limit of trainings per month ({most}). Wait for next month, or upgrade your
    plan."""


class TooManyDrafts(Conflict):
    """You have {most} trainings that you haven't started. Start or delete one first."""


class RightsNotStated(Invalid):
    """Confirm that the texts are yours, or that you have the right to train on them."""


class FileTooLarge(Invalid):
    """The file is larger than {limit} MB. Split it."""


class StorageFull(Conflict):
    """Your plan includes {allowed} of storage: {used} is in use, and this upload needs {size}. Delete files,
    texts or versions you no longer need, or upgrade your plan."""


class FileInUse(Conflict):
    """A job that hasn't read this file yet needs it. Cancel the job first."""


class BadDocument(Invalid):
    """{fault}"""

    code = "invalid_document"
