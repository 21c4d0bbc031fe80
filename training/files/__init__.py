"""Files of conversations: stored, read line by line, pruned."""
