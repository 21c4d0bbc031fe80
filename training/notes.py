"""What people read about trainings: what they wait for, and why a training or a document failed."""

from django.utils.translation import gettext_noop as _

from core.messages import MessageCode


class DocumentFault(MessageCode):
    """Why a file can't be added to a training."""

    EMPTY = _("{file} is empty. Choose a file with text in it.")
    FORMAT = _(
        "{file} is not supported. Use .txt, .md, .html, .docx, .odt, .epub, .rtf or .pdf, or a .zip or "
        ".tar.gz of them."
    )
    TOO_LARGE = _("{file} is larger than {limit} MB. Split it, or save it as plain text.")
    TOO_MANY = _(
        "A training can have {limit:,} documents. Combine some of them, or delete those you don't need."
    )
    TOO_MUCH = _("A training's files can have {limit} MB in total. Delete some, or save them as plain text.")
    PASTED_TOO_LONG = _("A pasted text can have {limit} MB. Save it as a file and add that.")
    UNREADABLE = _("{file} stopped our reader three times. Save it as .docx or .txt and add it again.")
    GONE = _("{file} didn't arrive completely. Add it again.")


class TrainingNote(MessageCode):
    """What a training waits for."""

    OUR_FAULT = _("Something went wrong on our side. We've been notified and will retry automatically.")
    TOO_SHORT = _(
        "Your texts have {words:,} words; a style needs at least {least:,}. Add more of your writing."
    )
    TOO_MANY_DUPLICATES = _(
        "Your texts have {words:,} words, but only {usable:,} without repeated passages; a style needs at "
        "least {least:,}. Add more of your writing."
    )
    NOTHING_HELD_OUT = _(
        "You left out every passage that we check the training with, so all passages are in use again."
    )
    WRITING = _("Writing a request for each passage: {done:,} of {total:,}.")
    READING_LATER = _(
        "Your workspace has used its {minutes} minutes of reading time per hour. We'll read the rest "
        "automatically within the hour."
    )
    PAYMENT = _("Reserving the cost of the training.")
    WORKER = _("Waiting for a training worker.")
    PLAN_FULL = _("Your style is trained. Your plan has no room for another version: {fault}")


class TrainingFailure(MessageCode):
    """Why a training failed. Only completed steps are charged."""

    DIVERGED = _(
        "The training didn't converge: the texts may be too uneven. Leave out documents that differ from the "
        "rest, and start again. You're only charged for completed steps."
    )
    OUT_OF_MEMORY = _(
        "The training needs more memory than our worker has. We've been notified. You're only charged for "
        "completed steps."
    )
    CRASHED = _(
        "The training stopped {times} times in a row. We've been notified. You're only charged for completed "
        "steps."
    )
    NO_RESULT = _(
        "The trained style didn't pass its checks: {reason} You're only charged for completed steps."
    )
    STOPPED = _("Stopped by the operators: {reason}")


class LineFault(MessageCode):
    """What is wrong with one line of a file of conversations."""

    TOO_LONG = _("It has more than {limit:,} bytes. Split the conversation.")
    NOT_JSON = _("It is not valid JSON in UTF-8.")
    NOT_CHAT = _('It must be an object with a list `messages`, such as {{"messages": […]}}.')
    FIELD = _("The field `{field}` is not supported.")
    ROLE = _("`role` must be system, developer, user or assistant.")
    CONTENT = _("`content` must be a text.")
    WEIGHT = _("`weight` must be 0 or 1, and only the assistant's messages can have it.")
    NO_PROMPT = _("A message must come before the first answer to learn.")
    NO_ANSWER = _("It has no answer to learn: a message of the assistant with text, and not of weight 0.")
    TEMPLATE = _("The base model's chat template doesn't accept the messages in this order.")
    PROMPT_TOO_LONG = _(
        "Its first answer to learn begins after {limit:,} tokens. Shorten the messages before it."
    )


class FileFault(MessageCode):
    """Why a job can't use a file. `param` says which of its two files it is."""

    LINE = _("Line {line:,} of {file} can't be used. {fault}")
    TOO_FEW = _("{file} has {lines:,} conversations; a training needs at least {least:,}.")
    TOO_MANY = _("{file} has more than {limit:,} conversations. Split it.")
    GONE = _("{file} was deleted or has expired. Upload it again.")


class JobFault(MessageCode):
    """Why a job whose files are fine can't start."""

    STYLE = _("The style can't get a new version. {reason}")
