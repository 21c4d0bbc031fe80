"""The snapshot of limits and keys that the data plane reads from Valkey.

PostgreSQL is the truth; `snapshot.publish_snapshot` writes the copy.
"""
