"""The no-code scoring script: written for one model, readable, and the user's to take and change."""
