"""The console: its site, menu and first pages, and seeing a workspace as its owner does."""
