"""The local certificate authority: made once, and the server certificate renewed when it must be."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from modelyard.core.data_dir import DataDir
from modelyard.core.errors import InvalidSetting
from modelyard.supervisor.certificate_names import certificate_names
from modelyard.supervisor.certificates import RENEWAL, SERVER_LIFETIME, make_certificates
from modelyard.supervisor.given_certificate import check_given_certificate
from modelyard.supervisor.prepare_certificates import main

NOW = datetime(2026, 11, 28, tzinfo=UTC)
NAMES = ["localhost", "127.0.0.1", "::1", "box"]


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    data = DataDir(tmp_path / "data")
    data.prepare()
    return data


def names_of(path: Path) -> list[str]:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in names]


class TestMaking:
    def test_certificates_are_made_once(self, data):
        assert len(make_certificates(data, NAMES, now=NOW)) == 2
        files = [data.tls_authority, data.tls_authority_key, data.tls_certificate, data.tls_key]
        before = [path.read_bytes() for path in files]
        assert make_certificates(data, NAMES[:2], now=NOW) == []
        assert [path.read_bytes() for path in files] == before
        assert names_of(data.tls_certificate) == NAMES

    def test_keys_are_closed_to_other_accounts(self, data):
        make_certificates(data, NAMES, now=NOW)
        modes = [path.stat().st_mode & 0o777 for path in (data.tls_authority_key, data.tls_key, data.tls_authority)]
        assert modes == [0o600, 0o600, 0o644]

    def test_server_certificate_is_renewed_near_its_end_by_the_same_authority(self, data):
        make_certificates(data, NAMES, now=NOW)
        authority = data.tls_authority.read_bytes()
        late = NOW + SERVER_LIFETIME - RENEWAL
        assert make_certificates(data, NAMES, now=late) == []
        (sentence,) = make_certificates(data, NAMES, now=late + timedelta(seconds=1))
        assert "ends at 2027-12-30" in sentence
        assert data.tls_authority.read_bytes() == authority

    def test_server_certificate_is_renewed_for_a_further_name(self, data):
        make_certificates(data, NAMES, now=NOW)
        (sentence,) = make_certificates(data, [*NAMES, "ml.example.org"], now=NOW)
        assert sentence.endswith("lacks ml.example.org")
        assert "ml.example.org" in names_of(data.tls_certificate)

    @pytest.mark.parametrize("lost", ["tls_key", "tls_certificate", "tls_authority", "tls_authority_key"])
    @pytest.mark.parametrize("content", [None, b"", b"damaged"])
    def test_lost_or_damaged_file_is_made_again(self, data, lost, content):
        make_certificates(data, NAMES, now=NOW)
        path = getattr(data, lost)
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        assert make_certificates(data, NAMES, now=NOW)
        assert make_certificates(data, NAMES, now=NOW) == []

    def test_authority_near_its_end_is_replaced(self, data):
        make_certificates(data, NAMES, now=NOW)
        assert len(make_certificates(data, NAMES, now=NOW + timedelta(days=3625))) == 2


class TestNames:
    def test_names_are_loopback_the_host_and_the_public_urls(self):
        names = certificate_names("192.0.2.7", "https://ml.example.org", "https://[2001:DB8::7]:9/x", None)
        assert names[:6] == ("localhost", "127.0.0.1", "::1", "192.0.2.7", "ml.example.org", "2001:db8::7")

    def test_every_interface_means_the_addresses_of_the_machine(self):
        assert "0.0.0.0" not in certificate_names("0.0.0.0")


class TestProgram:
    def run(self, data: DataDir, *arguments: object) -> int:
        return main(["--data-dir", str(data.root), *map(str, arguments)])

    def test_bundle_has_the_own_authority_and_those_of_the_machine(self, data):
        assert self.run(data, "--name", "localhost") == 0
        bundle = data.tls_bundle.read_bytes()
        assert data.tls_authority.read_bytes().strip() in bundle
        assert bundle.count(b"BEGIN CERTIFICATE") > 50
        ssl.create_default_context(cafile=str(data.tls_bundle))

    def test_bundle_has_the_authorities_that_the_environment_names(self, data, tmp_path, monkeypatch):
        other = DataDir(tmp_path / "other")
        other.prepare()
        self.run(other, "--name", "elsewhere")
        monkeypatch.setenv("SSL_CERT_FILE", str(other.tls_authority))
        self.run(data, "--name", "localhost")
        assert other.tls_authority.read_bytes().strip() in data.tls_bundle.read_bytes()

    def test_former_authority_is_not_kept_by_a_shell_that_names_the_bundle(self, data, monkeypatch):
        self.run(data, "--name", "localhost")
        former = data.tls_authority.read_bytes().strip()
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(data.tls_bundle))
        data.tls_authority.unlink()
        self.run(data, "--name", "localhost")
        assert former not in data.tls_bundle.read_bytes()

    def test_given_certificate_is_used_and_trusted_by_the_bundle(self, data, tmp_path):
        other = DataDir(tmp_path / "other")
        other.prepare()
        make_certificates(other, NAMES, now=datetime.now(UTC))
        check_given_certificate(other.tls_certificate, other.tls_key)
        assert self.run(data, "--certificate", other.tls_certificate) == 0
        assert other.tls_certificate.read_bytes().strip() in data.tls_bundle.read_bytes()
        assert not data.tls_authority.exists()

    @pytest.mark.parametrize(
        ("certificate", "key", "sentence"),
        [
            ("server.pem", "ca.key", "key values mismatch"),
            ("server.pem", "absent", "cannot be read"),
            ("absent", "server.key", "cannot be read"),
            ("garbage", "server.key", "not a certificate chain"),
            ("server.key", "server.key", "not a certificate chain"),
        ],
    )
    def test_unusable_given_files_are_named(self, data, tmp_path, certificate, key, sentence):
        make_certificates(data, NAMES, now=datetime.now(UTC))
        (tmp_path / "garbage").write_text("x")
        files = {"server.pem": data.tls_certificate, "server.key": data.tls_key, "ca.key": data.tls_authority_key}
        paths = [files.get(name, tmp_path / name) for name in (certificate, key)]
        with pytest.raises(InvalidSetting, match=sentence):
            check_given_certificate(*paths)
