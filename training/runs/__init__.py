"""The worker's side of a running training: its child process, its checkpoints, its row."""
