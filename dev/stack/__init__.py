"""The embedded stack: real PostgreSQL, Valkey, SeaweedFS and vLLM beside the site, without root or docker."""
