"""The playground's page and its requests, for people who are signed in."""
