"""The TLS settings of both ports."""

import ssl
from pathlib import Path


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Raises OSError for files that are no certificate chain in PEM format and its key without a passphrase."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A renegotiation costs the server more than the client.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    # OpenSSL would ask for a passphrase on the terminal.
    context.load_cert_chain(certificate, key, password=lambda: b"")
    return context
