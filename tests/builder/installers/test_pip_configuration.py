"""pip's own configuration, read as pip reads it."""

from pathlib import Path

import pytest

from builder.installers.pip_configuration import PipConfiguration, read_pip_configuration
from builder.supervised_process import installer_environ


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def read(home: Path, **environ: str) -> PipConfiguration:
    # An empty folder instead of the machine's own /etc/xdg; /etc/pip.conf is whatever this machine has.
    environ.setdefault("XDG_CONFIG_DIRS", str(home / "nothing"))
    return read_pip_configuration(environ, home=home, prefix=home / "prefix")


class TestFiles:
    def test_several_values_stand_on_one_line_or_on_several(self, home):
        write(
            home / ".config/pip/pip.conf",
            "[global]\nextra-index-url = https://a.example/simple https://b.example/simple\n"
            "find-links =\n    /opt/wheels\n    https://c.example/wheels\n",
        )
        sources = read(home).sources
        assert sources.extra_index_urls == ("https://a.example/simple", "https://b.example/simple")
        assert sources.find_links == ("/opt/wheels", "https://c.example/wheels")

    def test_the_legacy_file_of_the_user_counts_less_than_the_new_one(self, home):
        write(home / ".pip/pip.conf", "[global]\nindex-url = https://old.example\ntrusted-host = old.example\n")
        write(home / ".config/pip/pip.conf", "[global]\nindex-url = https://new.example\n")
        sources = read(home).sources
        assert (sources.index_url, sources.trusted_hosts) == ("https://new.example", ("old.example",))

    def test_the_file_beside_the_platforms_python_counts_more_than_the_users(self, home):
        write(home / ".config/pip/pip.conf", "[global]\nindex-url = https://user.example\n")
        write(home / "prefix/pip.conf", "[global]\nindex-url = https://site.example\n")
        assert read(home).sources.index_url == "https://site.example"

    def test_the_install_section_counts_more_than_global_wherever_it_stands(self, home):
        write(home / ".pip/pip.conf", "[install]\nindex-url = https://install.example\n")
        write(home / "prefix/pip.conf", "[global]\nindex-url = https://global.example\n")
        assert read(home).sources.index_url == "https://install.example"

    def test_pip_config_file_replaces_the_users_files(self, home):
        write(home / ".config/pip/pip.conf", "[global]\nindex-url = https://user.example\n")
        named = write(home / "named.conf", "[global]\nextra_index_url = https://named.example\n")
        sources = read(home, PIP_CONFIG_FILE=str(named)).sources
        assert (sources.index_url, sources.extra_index_urls) == (None, ("https://named.example",))

    def test_pip_config_file_can_turn_all_files_off(self, home):
        write(home / "prefix/pip.conf", "[global]\nindex-url = https://site.example\n")
        assert read(home, PIP_CONFIG_FILE="/dev/null") == PipConfiguration()

    def test_a_file_that_is_no_configuration_is_left_out_and_noted(self, home):
        write(home / "prefix/pip.conf", "index-url = https://site.example\n")
        found = read(home)
        assert found.sources.index_url is None
        assert "prefix/pip.conf is left out" in found.notes[0]


class TestVariables:
    def test_count_more_than_files(self, home):
        write(home / "prefix/pip.conf", "[install]\nindex-url = https://site.example\n")
        assert read(home, PIP_INDEX_URL="https://mine.example").sources.index_url == "https://mine.example"

    def test_say_everything_that_files_can(self, home):
        found = read(
            home,
            PIP_CONFIG_FILE="/dev/null",
            PIP_EXTRA_INDEX_URL="https://a.example https://b.example",
            PIP_NO_INDEX="true",
            PIP_PRE="0",
            PIP_CONSTRAINT="/etc/constraints.txt",
            PIP_CERT="/etc/ssl/bundle.pem",
            PIP_DEFAULT_TIMEOUT="180.0",
            PIP_PROXY="http://proxy.example:3128",
        )
        assert found.sources.extra_index_urls == ("https://a.example", "https://b.example")
        assert (found.sources.no_index, found.sources.pre) == (True, False)
        assert found.constraint_files == ("/etc/constraints.txt",)
        assert found.variables == {
            "SSL_CERT_FILE": "/etc/ssl/bundle.pem",
            "UV_HTTP_TIMEOUT": "180",
            "ALL_PROXY": "http://proxy.example:3128",
        }


def test_installers_see_the_accounts_settings_and_no_secret_of_the_platform():
    environ = {
        "PATH": "/bin",
        "https_proxy": "http://proxy.example",
        "UV_INDEX_URL": "https://a.example",
        "PIP_INDEX_URL": "https://a.example",
        "MODELYARD_DATABASE_URL": "postgresql://secret",
        "MODELYARD_MASTER_KEY": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "PYTHONPATH": "/somewhere",
    }
    assert sorted(installer_environ(environ, UV_CACHE_DIR="/c")) == [
        "PATH",
        "PIP_INDEX_URL",
        "UV_CACHE_DIR",
        "UV_INDEX_URL",
        "https_proxy",
    ]
