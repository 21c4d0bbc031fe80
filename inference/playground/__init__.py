"""The playground: its page, and its requests on behalf of a signed-in member."""
