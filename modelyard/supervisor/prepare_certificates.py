"""Prepare the certificates of `modelyard up --tls`, and the bundle of authorities for clients on this machine.

    modelyard.supervisor.prepare_certificates --data-dir DIR --name NAME [--name NAME ...]
    modelyard.supervisor.prepare_certificates --data-dir DIR --certificate FILE

A separate process keeps the supervisor small. Standard output names each made certificate; the last line of standard
error has the reason of a failure. Exit codes: 0 the certificates are ready, 1 a file cannot be read or written.
"""

import argparse
import os
import re
import ssl
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from modelyard.core.data_dir import DataDir
from modelyard.process.atomic_files import replace_file
from modelyard.supervisor.certificates import make_certificates

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    data = DataDir(options.data_dir)
    try:
        if options.certificate is None:
            for sentence in make_certificates(data, options.name, now=datetime.now(UTC)):
                print(sentence, flush=True)
            own = data.tls_authority
        else:
            own = options.certificate
        replace_file(data.tls_bundle, _bundle(own, data.tls_bundle, os.environ), mode=0o644)
    except OSError as error:
        print(f"{error.filename or data.tls}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="modelyard.supervisor.prepare_certificates")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--name", action="append", help="a host name or address of the server certificate")
    parser.add_argument("--certificate", type=Path, help="a given certificate chain, in place of the local authority")
    return parser


def _bundle(own: Path, bundle: Path, environment: Mapping[str, str]) -> bytes:
    """The platform's own certificates, and the authorities that clients of this machine trust without the bundle."""
    certificates: dict[bytes, None] = {}
    for path in (own, *_files_of_authorities(bundle, environment)):
        certificates.update(dict.fromkeys(_PEM.findall(path.read_bytes())))
    return b"\n".join([*certificates, b""])


def _files_of_authorities(bundle: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    named = [Path(environment[name]) for name in _BUNDLE_VARIABLES if environment.get(name)]
    # An earlier bundle of this data dir may hold an authority that is no longer in use.
    yield from (path for path in named if path.is_file() and path.resolve() != bundle.resolve())
    of_openssl = ssl.get_default_verify_paths().openssl_cafile
    yield from [path for path in map(Path, (of_openssl, *_SYSTEM_BUNDLES)) if path.is_file()][:1]
    if find_spec("certifi") is not None:
        import certifi

        yield Path(certifi.where())
