"""The version of everything that is released together. The build reads it; a test compares the CLI's."""

VERSION = "1.0.0rc1"
