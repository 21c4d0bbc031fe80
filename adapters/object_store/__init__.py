"""Adapters in S3: browsers post files, workers seal and read them, the pruner deletes what is left.

Browsers post to `uploads/<version>/`. What is checked and served is the sealed copy under
`adapters/<version>/`, so that a presigned POST that is still valid changes nothing.
"""

from adapters.object_store.client import POSTED, SEALED, sealed_key, upload_key
from adapters.object_store.pruning import (
    abort_old_parts,
    discard_all,
    discard_sealed,
    discard_uploads,
    erase,
    keep_rules,
    remaining,
    versions,
)
from adapters.object_store.sealed_files import download, reading, seal, sealed_sizes, write
from adapters.object_store.uploads import Upload, form_valid_s, presign, uploaded_size

__all__ = [
    "POSTED",
    "SEALED",
    "Upload",
    "abort_old_parts",
    "discard_all",
    "discard_sealed",
    "discard_uploads",
    "download",
    "erase",
    "form_valid_s",
    "keep_rules",
    "presign",
    "reading",
    "remaining",
    "seal",
    "sealed_key",
    "sealed_sizes",
    "upload_key",
    "uploaded_size",
    "versions",
    "write",
]
