"""Uploads: from presigned POSTs to a version that is valid or rejected with reasons.

`sessions` begins and finishes an upload, `pipeline` takes a version's next step, `storage_quota` holds it
against the plan, `conversions` offers what can be corrected, `pruner` deletes what nobody needs.
"""
