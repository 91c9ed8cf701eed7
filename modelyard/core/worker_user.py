"""Whom workers run as when the platform runs as root, unless MODELYARD_WORKER_UID says otherwise."""

# A number without an account: no other program on the machine runs as it.
DEFAULT_WORKER_UID = 64042
