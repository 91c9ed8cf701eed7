"""Payloads to and from the frames of model workers; requests joined into a batch, results split again."""
