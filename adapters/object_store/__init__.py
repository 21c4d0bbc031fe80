"""Adapters in S3: browsers post files, workers seal and read them, the pruner deletes what is left.

Browsers post to `uploads/<version>/`, or send parts there. What is checked and served is the sealed copy
under `adapters/<version>/`, so that a presigned POST that is still valid changes nothing.
"""

from adapters.object_store.client import (
    POSTED,
    SEALED,
    StoredObject,
    check_storage,
    delete_keys,
    list_objects,
    put_as_browser,
    put_object,
    read_object,
    refused_origin,
    sealed_key,
    upload_key,
    write_object,
)
from adapters.object_store.pruning import (
    abort_old_parts,
    discard_all,
    discard_sealed,
    discard_uploads,
    erase,
    erase_folder,
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
    MAX_PARTS,
    PART_BYTES,
    OpenUpload,
    StoredPart,
    Upload,
    abort_parts,
    begin_parts,
    complete_parts,
    form_valid_s,
    list_parts,
    open_uploads,
    part_bytes_for,
    presign,
    presign_part,
    presign_post,
    stored_bytes,
    uploaded_size,
    url_valid_s,
)
