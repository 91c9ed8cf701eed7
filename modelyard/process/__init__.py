"""What the platform's long-running processes share: how they start, log, write files, hear signals and end."""
