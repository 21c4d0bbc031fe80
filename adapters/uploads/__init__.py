"""Uploads: from presigned POSTs or parts to a version that is valid or rejected with reasons.

`upload_request` says what is wrong before a byte is sent, `sessions` begins and finishes an upload, `parts`
are those of large files, `pipeline` takes a version's next step, `examination` is the step that checks the
files, `progress` shows all steps. `storage_quota` holds a workspace against its plan, `conversions` offers
corrections of rejected files, `pruner` deletes what nobody needs.
"""
