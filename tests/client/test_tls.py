"""The client over TLS: the authorities that it trusts, and what it says of a handshake that fails."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelyard.client.connection import Connection
from modelyard.client.errors import PlatformUnreachable
from modelyard.client.platform import Platform
from modelyard.core.data_dir import DataDir
from modelyard.process.http_server import TlsPort
from modelyard.process.tls_context import server_context
from modelyard.supervisor.certificates import make_certificates
from tests.process.test_http_connection import Server


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataDir:
    data = DataDir(tmp_path_factory.mktemp("tls"))
    for folder in (data.secrets, data.tls):
        folder.mkdir()
    make_certificates(data, ["localhost", "127.0.0.1"], now=datetime.now(UTC))
    return data


@pytest.fixture(scope="module")
def ports(data: DataDir) -> Iterator[tuple[int, int]]:
    """The plain port and the TLS port of a server."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(tls=TlsPort(listener, server_context(data.tls_certificate, data.tls_key), 10.0))
    yield server.port, listener.getsockname()[1]
    server.close()


def scheme_by(url: str, *certificates: Path) -> str:
    """Ask the server for the scheme that it sees."""
    connection = Connection(Platform(url, "token", certificates=certificates), retry_seconds=0.0)
    try:
        return connection.send("GET", f"{url}/scheme").text
    finally:
        connection.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_named_authority_is_trusted(ports, data, host):
    assert scheme_by(f"https://{host}:{ports[1]}", data.tls_authority) == "https"


def test_unknown_authority_is_told_as_such(ports):
    with pytest.raises(
        PlatformUnreachable, match=r"certificate of https://127.0.0.1:\d+ is not trusted .*SSL_CERT_FILE"
    ):
        scheme_by(f"https://127.0.0.1:{ports[1]}")


def test_https_to_a_plain_port_is_told_as_such(ports):
    with pytest.raises(PlatformUnreachable, match="does not speak TLS"):
        scheme_by(f"https://127.0.0.1:{ports[0]}")


def test_absent_server_is_still_told_as_absent():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(PlatformUnreachable, match="no platform answers"):
        scheme_by(f"https://127.0.0.1:{port}")


def test_damaged_file_of_authorities_costs_only_its_trust(ports, data, tmp_path):
    (tmp_path / "damaged.pem").write_text("x")
    assert scheme_by(f"https://127.0.0.1:{ports[1]}", tmp_path / "damaged.pem", data.tls_authority) == "https"
