class StackError(Exception):
    """The stack cannot go on; the message is one line that says what to do."""


class AlreadyRunning(StackError):
    """Another stack is using this data folder."""


class PortTaken(StackError):
    """A port that was asked for is in use."""


class ServiceFailed(StackError):
    """A process of the stack did not start or does not stay up."""


class MissingPrerequisite(StackError):
    """Something that the stack needs is not on this machine."""


class Miss(StackError):
    """The smoke run found something that is not as promised."""


class Interrupted(StackError):
    """A person or a supervisor asked the stack to stop."""
