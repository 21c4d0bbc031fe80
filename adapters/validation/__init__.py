"""Validation: what an adapter must be before an engine sees a byte of it. See docs/adapters.md.

Nothing is unpickled, nothing is imported from an upload, and memory stays below 64 MB whatever the upload's
size. Needs no database and no service; writes nothing but the temporary file that an archive is copied to.
"""

from adapters.errors import Finding
from adapters.validation.problems import PROBLEMS
from adapters.validation.shapes import BaseShape, Linear
from adapters.validation.sources import LocalFile, Shortened, Source
from adapters.validation.validator import Report, validate_adapter, validate_folder
from adapters.validation.weights import BOUND, Strength
