"""The command line. Each command parses, calls the client once or twice, and prints."""
