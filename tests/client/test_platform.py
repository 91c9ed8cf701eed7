import json
from pathlib import Path
from typing import Any

import pytest

from modelyard.client import find_platform
from modelyard.client.errors import NoPlatform
from modelyard.client.platform import find_https_platform
from modelyard.supervisor.pointer import remember_platform

HTTPS = "https://127.0.0.1:8443"


def remembered(home: Path, url: str = "http://127.0.0.1:8000", **more: Any) -> dict[str, str]:
    environment = {"HOME": str(home)}
    token_file = home / "admin.token"
    token_file.write_text("own-token\n")
    remember_platform(environment, url, token_file, **more)
    return environment


class TestFindPlatform:
    def test_platform_started_last_is_found_by_its_pointer_file(self, tmp_path):
        platform = find_platform(remembered(tmp_path))
        assert (platform.url, platform.token) == ("http://127.0.0.1:8000", "own-token")

    def test_variables_take_precedence_over_the_pointer_file(self, tmp_path):
        environment = {**remembered(tmp_path), "MODELYARD_URL": "http://other:1/", "MODELYARD_TOKEN": "given"}
        platform = find_platform(environment)
        assert (platform.url, platform.token) == ("http://other:1", "given")

    def test_token_of_the_pointer_file_is_not_used_for_another_url(self, tmp_path):
        with pytest.raises(NoPlatform, match="no token is known for http://other:1"):
            find_platform({**remembered(tmp_path), "MODELYARD_URL": "http://other:1"})

    def test_unknown_platform_names_modelyard_up(self, tmp_path):
        with pytest.raises(NoPlatform, match="modelyard up"):
            find_platform({"HOME": str(tmp_path)})

    def test_unreadable_token_file_is_named(self, tmp_path):
        environment = remembered(tmp_path)
        (tmp_path / "admin.token").unlink()
        with pytest.raises(NoPlatform, match=r"no token in .*admin\.token .*MODELYARD_TOKEN"):
            find_platform(environment)

    def test_damaged_pointer_file_is_ignored(self, tmp_path):
        environment = remembered(tmp_path)
        (tmp_path / ".config" / "modelyard" / "platform.json").write_text(json.dumps(["odd"]))
        with pytest.raises(NoPlatform):
            find_platform(environment)

    def test_url_without_a_scheme_is_an_error(self):
        with pytest.raises(NoPlatform, match="must begin with http://"):
            find_platform({"HOME": "/", "MODELYARD_URL": "localhost:8000", "MODELYARD_TOKEN": "t"})


class TestHttps:
    @pytest.fixture
    def bundle(self, tmp_path: Path) -> Path:
        bundle = tmp_path / "bundle.pem"
        bundle.touch()
        return bundle

    def test_command_line_stays_on_the_plain_port(self, tmp_path, bundle):
        environment = remembered(tmp_path, https_url=HTTPS, certificates=bundle)
        platform = find_platform(environment)
        assert (platform.url, platform.certificates) == ("http://127.0.0.1:8000", ())

    @pytest.mark.parametrize("url", [HTTPS, "https://localhost:8443"])
    def test_authority_of_the_own_platform_is_trusted_on_loopback(self, tmp_path, bundle, url):
        environment = remembered(tmp_path, https_url=HTTPS, certificates=bundle)
        platform = find_platform({**environment, "MODELYARD_URL": url, "MODELYARD_TOKEN": "given"})
        assert platform.certificates == (bundle,)

    def test_authority_of_the_own_platform_is_not_trusted_elsewhere(self, tmp_path, bundle):
        environment = remembered(tmp_path, https_url=HTTPS, certificates=bundle)
        other = {"MODELYARD_URL": "https://other", "MODELYARD_TOKEN": "given"}
        assert find_platform({**environment, **other}).certificates == ()
        assert find_platform({**environment, **other, "SSL_CERT_FILE": str(bundle)}).certificates == (bundle,)

    def test_token_of_the_pointer_file_is_used_for_both_urls(self, tmp_path):
        environment = remembered(tmp_path, https_url=HTTPS)
        assert find_platform({**environment, "MODELYARD_URL": HTTPS}).token == "own-token"

    def test_https_url_is_found_by_the_pointer_file(self, tmp_path, bundle):
        platform = find_https_platform(remembered(tmp_path, https_url=HTTPS, certificates=bundle))
        assert (platform.url, platform.token, platform.certificates) == (HTTPS, "own-token", (bundle,))

    def test_platform_without_https_names_the_flag(self, tmp_path):
        with pytest.raises(NoPlatform, match="modelyard up --tls"):
            find_https_platform(remembered(tmp_path))


def test_platform_representation_hides_the_token(tmp_path):
    assert "own-token" not in repr(find_platform(remembered(tmp_path)))
