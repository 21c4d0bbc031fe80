"""The outbox: what happened in a workspace, recorded in the transaction of what it tells.

Public face: `outbox.record_event`. Presenters and subscribers live above and are registered when Django
starts.
"""
