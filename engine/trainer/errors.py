"""Why a job cannot be trained, or an adapter judged. Each class is one code of the `error` line."""

from typing import ClassVar


class TrainingError(Exception):
    """The job cannot be trained."""

    code: ClassVar[str]


class BadJob(TrainingError):
    """The job's folder or its settings are wrong."""

    code = "bad_job"


class BadExample(TrainingError):
    """A line of learn.jsonl or validate.jsonl cannot be learned."""

    code = "bad_example"


class NoBase(TrainingError):
    """The base model's folder lacks what training needs."""

    code = "no_base"


class NoDevice(TrainingError):
    """This machine lacks the device that the job needs."""

    code = "no_device"


class Diverged(TrainingError):
    """The loss is no longer a number."""

    code = "diverged"


class OutOfMemory(TrainingError):
    """The device has too little memory for the base model and one example."""

    code = "out_of_memory"


class BadAdapter(TrainingError):
    """An adapter that is to be judged doesn't fit the base model."""

    code = "bad_adapter"
