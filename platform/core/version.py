"""The version of everything that is released together. The build reads it here; the CLI's is compared by a test."""

VERSION = "1.0.0rc1"
