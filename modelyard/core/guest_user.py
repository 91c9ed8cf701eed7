"""Whom guests run as when the platform runs as root, unless MODELYARD_GUEST_UID says otherwise."""

# A number without an account: no other program on the machine runs as it.
DEFAULT_GUEST_UID = 64042
