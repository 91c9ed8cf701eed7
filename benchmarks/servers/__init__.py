"""The compared servers. Each serves one model and has a protocol for predictions."""
