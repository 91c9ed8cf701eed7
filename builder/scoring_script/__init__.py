"""The generated scoring script of a deployment without code: readable, and free for the user to save and change."""
