"""Why a job cannot be trained, or an adapter judged. Each class is one code of the `error` line: its name."""

import re
from typing import ClassVar


class TrainingError(Exception):
    """The job cannot be trained."""

    code: ClassVar[str]

    def __init_subclass__(cls) -> None:
        cls.code = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


class BadJob(TrainingError):
    """The job's folder or its settings are wrong."""


class BadExample(TrainingError):
    """A line of learn.jsonl or validate.jsonl cannot be learned."""


class NoBase(TrainingError):
    """The base model's folder lacks what training needs."""


class NoDevice(TrainingError):
    """This machine lacks the device that the job needs."""


class Diverged(TrainingError):
    """The loss is no longer a number."""


class OutOfMemory(TrainingError):
    """The device has too little memory for the base model and one example."""


class BadAdapter(TrainingError):
    """An adapter that is to be judged doesn't fit the base model."""
