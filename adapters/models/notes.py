"""What workers note for people to read. With the models, so that the pages' processes know the sentences."""

from django.utils.translation import gettext_noop as _

from core.messages import MessageCode


class UploadNote(MessageCode):
    """What an upload waits for."""

    ANOTHER_FIRST = _("Another upload of this workspace is being checked. This one is next.")
    OUR_FAULT = _("Something went wrong on our side. We've been notified and will retry automatically.")
    NO_ENGINE = _("No engine serves this base model yet. We'll continue automatically when one is added.")


class LoadNote(MessageCode):
    """Why an adapter is loaded once more."""

    UNCONFIRMED = _("The engine accepted the adapter but doesn't list it. We're loading it again.")


class ProbeFault(MessageCode):
    """Why a version is not taken after its probe."""

    NO_EFFECT = _(
        "The adapter has no effect: it shifts the base model by {strength:.3f} nats per token, and "
        "anything below {least:.3f} is rounding error. Train it longer or with a higher learning rate, "
        "check that the trained weights were saved, and upload it as a new version."
    )
    NO_WORDS = _(
        "With this adapter the model can't predict any next token. Check the training for NaN or a "
        "diverging loss, and upload it as a new version."
    )


class EvaluationNote(MessageCode):
    """What an evaluation waits for."""

    LOADING = _("Waiting for an engine to load this version.")
    MEASURING = _("Measuring how well the style predicts your texts, and whether it repeats them.")
    WRITING = _("The style and the base model are answering the same requests.")
    OUR_FAULT = _("Something went wrong on our side. We've been notified and will retry automatically.")


class EvaluationFailure(MessageCode):
    """Why an evaluation has no figures."""

    NOT_SERVING = _("The version is no longer available.")
    TEXTS_GONE = _("The texts were deleted before the check was done. Add them again for another check.")
    CRASHED = _("The check stopped {times} times in a row. We've been notified. Try it again later.")
    TIMED_OUT = _("The check couldn't run within a day. Start it again once the style answers.")


class ShareRefusal(MessageCode):
    """Why other workspaces can't have a version: what its evaluation found, or that there is none yet."""

    UNEVALUATED = _(
        "We don't know yet whether this version repeats passages from its texts. Others can get it once the "
        "check on the style's page has succeeded."
    )
    VERBATIM = _(
        "This version repeats {repeated} of {examples} passages in part: {tokens} tokens or more in a row, "
        "word for word. Train it on more text, or with fewer passes over it."
    )
    BY_HEART = _(
        "This version memorised the test sentences that appeared in its texts once: {bits} bits on average, "
        "and at most {limit} are allowed. Train it on more text, or with fewer passes over it."
    )
    # Those of versions that were checked before 1.0.0.
    REPEATS = _(
        "This version repeats {percent}% of its passages word for word, and at most {limit}% is allowed. "
        "Train it on more text, or with fewer passes over it."
    )
    MEMORIZES = _(
        "This version memorised all test sentences, although each appeared in its texts only once. Train it "
        "on more text, or with fewer passes over it."
    )
    LEARNED_NOTHING = _(
        "This version predicts the author's texts no better than the base model. Train it on more text."
    )
