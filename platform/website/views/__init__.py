"""Pages about a workspace that ask more than one app: keys, settings, new workspaces, connected programs."""
