"""The check of a given certificate and its key, before a start creates anything."""

import ssl
from pathlib import Path

from modelyard.core.errors import InvalidSetting
from modelyard.process.tls_context import server_context


def check_given_certificate(certificate: Path, key: Path) -> None:
    """Raises InvalidSetting for files that cannot be used."""
    for path, noun in ((certificate, "certificate"), (key, "key")):
        try:
            path.read_bytes()
        except OSError as error:
            raise InvalidSetting(f"the TLS {noun} {path} cannot be read: {error.strerror}") from None
    try:
        server_context(certificate, key)
    except ssl.SSLError as error:
        reason = (error.reason or "not in PEM format").replace("_", " ").lower()
        raise InvalidSetting(
            f"{certificate} and {key} are not a certificate chain in PEM format and its key without a passphrase "
            f"({reason}): name other files with --tls-certificate and --tls-key"
        ) from None
