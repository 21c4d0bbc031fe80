"""Why a draft can't be changed. The docstring is what people read."""

from core.errors import Conflict, Invalid


class DraftChanged(Conflict):
    """This draft was changed in another tab or by someone else. Your text is in its history. Open the newest
    text, or keep yours."""

    for_programs = "The draft has changed since you read it, and the refused text is a snapshot now."


class TooManyDrafts(Invalid):
    """Your plan allows {most} drafts in this workspace. Delete one, or choose a larger plan."""


class DraftTooLarge(Invalid):
    """A draft can have at most {most} characters, and this has {characters}. Divide it into several."""


class FileUnreadable(Invalid):
    """{reason}"""
