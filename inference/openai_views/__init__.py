"""What the site's views below /v1 share: they answer in the form of OpenAI's API, for its clients."""
