"""What can go wrong with trainings."""

from core.errors import Conflict, Invalid, NotFound


class TrainingOff(NotFound):
    """This service doesn't train styles."""

    code = "training_off"


class TrainingMoved(Conflict):
    """The training has changed since you opened this page. Reload it to see the current state."""

    code = "training_moved"
    for_programs = "The training has moved on in the meantime. Get it again to see where it is."


class NotEvaluable(Conflict):
    """This can't be checked: the texts were deleted, or the version is not available."""

    code = "not_evaluable"


class TooManyEvaluations(Conflict):
    """You've reached the limit of checks per day ({most}). Try again tomorrow."""

    code = "too_many_evaluations"


class NothingToTrain(Conflict):
    """These texts only check a version. Nothing is trained on them."""

    code = "nothing_to_train"


class NoDocuments(Conflict):
    """There is no text to learn from yet. Add at least one document."""

    code = "no_documents"


class StillReading(Conflict):
    """We're still reading {count} of your documents. Try again in a moment."""

    code = "still_reading"


class TooManyWords(Conflict):
    """Your texts have {words:,} words; your plan allows {most:,} per training. Leave some out, or upgrade
    your plan."""

    code = "too_many_words"


class TooManyTrainings(Conflict):
    """You've reached your plan's limit of trainings in progress ({most}). Wait for one to finish, or upgrade
    your plan."""

    code = "too_many_trainings"


class NoTrainingsInPlan(Conflict):
    """Your plan doesn't include trainings. Upgrade your plan."""

    code = "no_trainings_in_plan"


class TrainingsUsedUp(Conflict):
    """You've reached your plan's limit of trainings per month ({most}). Wait for next month, or upgrade your
    plan."""

    code = "trainings_used_up"


class TooManyDrafts(Conflict):
    """You have {most} trainings that you haven't started. Start or delete one first."""

    code = "too_many_drafts"


class RightsNotStated(Invalid):
    """Confirm that the texts are yours, or that you have the right to train on them."""

    code = "rights_not_stated"


class FileTooLarge(Invalid):
    """The file is larger than {limit} MB. Split it."""

    code = "file_too_large"


class StorageFull(Conflict):
    """Your plan includes {allowed} of storage: {used} is in use, and this upload needs {size}. Delete files,
    texts or versions you no longer need, or upgrade your plan."""

    code = "storage_full"


class FileInUse(Conflict):
    """A job that hasn't read this file yet needs it. Cancel the job first."""

    code = "file_in_use"


class BadDocument(Invalid):
    """{fault}"""

    code = "invalid_document"
