"""The studio's pages about a workspace: its API keys, its usage, its beginning."""
