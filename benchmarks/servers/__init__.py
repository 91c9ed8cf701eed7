"""The servers that are compared: each runs one model, behind its own way to ask for a prediction."""
