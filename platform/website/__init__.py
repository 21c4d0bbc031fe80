"""Pages that belong to no app, or to several: front page, home, keys, settings, guides, legal, status."""
