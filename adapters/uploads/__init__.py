"""Uploads: from presigned POSTs or parts to a version that is valid or rejected with reasons.

`upload_request` says what is wrong before a byte is sent, `sessions` begins and finishes an upload and shows
its steps, `parts` are those of large files, `pipeline` takes a version's next step, such as checking its
files. `storage_quota` holds a workspace against its plan, `pruner` deletes what nobody needs.

An upload is sealed before it is validated: a presigned POST stays valid for an hour, so the object that was
validated could be replaced before it is served. Finishing an upload copies it, conditional on its ETag, to a
key that no presigned POST covers. That copy is validated, and each worker that loads it checks its SHA-256.
"""
