"""`/v1/files` and `/v1/fine_tuning/jobs`: trainings in the form of OpenAI's API, for its official clients."""
