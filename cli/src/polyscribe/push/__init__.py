"""Sending an adapter: check the folder, send what the storage lacks, watch the version until it serves."""
