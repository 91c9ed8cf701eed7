"""pip's own configuration: precedence of files and variables, and the variables for uv."""

from pathlib import Path

import pytest

from builder.installers.pip_configuration import PipConfiguration, read_pip_configuration
from builder.installers.uv_program import uv_variables
from builder.supervised_process import installer_environ


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def read(home: Path, **environ: str) -> PipConfiguration:
    # An empty folder in place of the machine's /etc/xdg. The machine's /etc/pip.conf is read.
    environ.setdefault("XDG_CONFIG_DIRS", str(home / "nothing"))
    return read_pip_configuration(environ, home=home, prefix=home / "prefix")


class TestFiles:
    def test_list_option_is_read_from_one_line_or_several(self, home):
        write(
            home / ".config/pip/pip.conf",
            "[global]\nextra-index-url = https://a.example/simple https://b.example/simple\n"
            "find-links =\n    /opt/wheels\n    https://c.example/wheels\n",
        )
        sources = read(home).sources
        assert sources.extra_index_urls == ("https://a.example/simple", "https://b.example/simple")
        assert sources.find_links == ("/opt/wheels", "https://c.example/wheels")

    def test_new_user_file_wins_over_the_legacy_user_file(self, home):
        write(home / ".pip/pip.conf", "[global]\nindex-url = https://old.example\ntrusted-host = old.example\n")
        write(home / ".config/pip/pip.conf", "[global]\nindex-url = https://new.example\n")
        sources = read(home).sources
        assert (sources.index_url, sources.trusted_hosts) == ("https://new.example", ("old.example",))

    def test_site_file_wins_over_the_user_file(self, home):
        write(home / ".config/pip/pip.conf", "[global]\nindex-url = https://user.example\n")
        write(home / "prefix/pip.conf", "[global]\nindex-url = https://site.example\n")
        assert read(home).sources.index_url == "https://site.example"

    def test_install_section_wins_over_the_global_section_of_any_file(self, home):
        write(home / ".pip/pip.conf", "[install]\nindex-url = https://install.example\n")
        write(home / "prefix/pip.conf", "[global]\nindex-url = https://global.example\n")
        assert read(home).sources.index_url == "https://install.example"

    def test_pip_config_file_variable_replaces_the_user_files(self, home):
        write(home / ".config/pip/pip.conf", "[global]\nindex-url = https://user.example\n")
        named = write(home / "named.conf", "[global]\nextra_index_url = https://named.example\n")
        sources = read(home, PIP_CONFIG_FILE=str(named)).sources
        assert (sources.index_url, sources.extra_index_urls) == (None, ("https://named.example",))

    def test_pip_config_file_devnull_turns_all_files_off(self, home):
        write(home / "prefix/pip.conf", "[global]\nindex-url = https://site.example\n")
        assert read(home, PIP_CONFIG_FILE="/dev/null") == PipConfiguration()

    def test_malformed_file_is_ignored_with_a_note(self, home):
        write(home / "prefix/pip.conf", "index-url = https://site.example\n")
        found = read(home)
        assert found.sources.index_url is None
        assert "prefix/pip.conf is ignored" in found.notes[0]


class TestVariables:
    def test_variable_wins_over_files(self, home):
        write(home / "prefix/pip.conf", "[install]\nindex-url = https://site.example\n")
        assert read(home, PIP_INDEX_URL="https://mine.example").sources.index_url == "https://mine.example"

    def test_every_option_can_be_a_variable(self, home):
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
        assert uv_variables(found) == {
            "SSL_CERT_FILE": "/etc/ssl/bundle.pem",
            "UV_HTTP_TIMEOUT": "180",
            "ALL_PROXY": "http://proxy.example:3128",
        }


def test_installer_gets_proxy_and_index_variables_and_no_platform_secret():
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
