"""The version of this package. Building it reads this file."""

__version__ = "1.0.0rc1"
