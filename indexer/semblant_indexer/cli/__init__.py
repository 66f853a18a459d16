"""The indexer's commands: each parses, calls the library and prints."""
