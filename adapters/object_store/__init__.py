"""Adapters in S3: browsers post files, workers seal and read them, the pruner deletes what is left.

Browsers post to `uploads/<version>/`, or send parts there. What is checked and served is the sealed copy
under `adapters/<version>/`, so that a presigned POST that is still valid changes nothing.
"""

from adapters.object_store.client import POSTED, SEALED, sealed_key, upload_key
from adapters.object_store.doctor import check_storage, put_as_browser, refused_origin
from adapters.object_store.multipart import (
    MAX_PARTS,
    PART_BYTES,
    OpenUpload,
    StoredPart,
    abort_parts,
    begin_parts,
    complete_parts,
    list_parts,
    open_uploads,
    part_bytes_for,
    presign_part,
    url_valid_s,
)
from adapters.object_store.objects import StoredObject, list_objects, put_object, read_object, write_object
from adapters.object_store.pruning import (
    abort_old_parts,
    discard_all,
    discard_sealed,
    discard_uploads,
    erase,
    erase_folder,
    erase_key,
    keep_rules,
    list_folder,
    remaining,
    versions,
)
from adapters.object_store.sealed_files import (
    DOWNLOAD_VALID_S,
    download,
    presign_download,
    reading,
    seal,
    sealed_sizes,
    write,
)
from adapters.object_store.uploads import (
    Upload,
    form_valid_s,
    presign,
    presign_post,
    stored_bytes,
    uploaded_size,
)

__all__ = [
    "DOWNLOAD_VALID_S",
    "MAX_PARTS",
    "PART_BYTES",
    "POSTED",
    "SEALED",
    "OpenUpload",
    "StoredObject",
    "StoredPart",
    "Upload",
    "abort_old_parts",
    "abort_parts",
    "begin_parts",
    "check_storage",
    "complete_parts",
    "discard_all",
    "discard_sealed",
    "discard_uploads",
    "download",
    "erase",
    "erase_folder",
    "erase_key",
    "form_valid_s",
    "keep_rules",
    "list_folder",
    "list_objects",
    "list_parts",
    "open_uploads",
    "part_bytes_for",
    "presign",
    "presign_download",
    "presign_part",
    "presign_post",
    "put_as_browser",
    "put_object",
    "read_object",
    "reading",
    "refused_origin",
    "remaining",
    "seal",
    "sealed_key",
    "sealed_sizes",
    "stored_bytes",
    "upload_key",
    "uploaded_size",
    "url_valid_s",
    "versions",
    "write",
    "write_object",
]
