"""What a check or a receipt is refused for."""

from core.errors import Invalid, NotFound, Unavailable


class TextTooLong(Invalid):
    """The text is longer than {limit} characters. Check it in parts."""


class NothingToCheck(Invalid):
    """Send a text, a receipt, or both."""


class BadReceipt(Invalid):
    """This is not a receipt of {site}, or it was changed."""

    code = "invalid_receipt"


class NoReceipt(NotFound):
    """There is no receipt for `{request_id}`. Receipts are for complete answers with text and one choice,
    from a few seconds after the answer until the request is deleted."""


class NoReceiptKeys(NotFound):
    """This service doesn't issue receipts."""

    code = "no_receipts"


class NoDetector(Unavailable):
    """The watermark can't be checked at the moment: the base model's tokenizer isn't installed here."""
