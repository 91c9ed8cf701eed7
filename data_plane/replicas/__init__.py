"""The model workers behind a deployment: the port, the local processes, and the files they need."""
