"""The management API of keys, log-ins of programs, and the workspace itself."""
