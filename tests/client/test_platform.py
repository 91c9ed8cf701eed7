import json
from pathlib import Path

import pytest

from modelyard.client import find_platform
from modelyard.client.errors import NoPlatform
from modelyard.supervisor.pointer import remember_platform


def remembered(home: Path, url: str = "http://127.0.0.1:8000") -> dict[str, str]:
    environment = {"HOME": str(home)}
    token_file = home / "admin.token"
    token_file.write_text("own-token\n")
    remember_platform(environment, url, token_file)
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


def test_platform_representation_hides_the_token(tmp_path):
    assert "own-token" not in repr(find_platform(remembered(tmp_path)))
