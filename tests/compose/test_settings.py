"""docker-compose.yml and .env, before any container runs."""

import stat
from pathlib import Path

import pytest

from tests.compose.engine import ROOT, composes, run
from tests.compose.stack import SERVICES, Stack

SECRETS = (
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
    "MODELYARD_ADMIN_TOKEN",
    "MODELYARD_MASTER_KEY",
    "AZURITE_ACCOUNT_KEY",
)


def made(folder: Path) -> Path:
    run("sh", ROOT / "docker" / "compose-env.sh", folder / ".env")
    return folder / ".env"


@pytest.fixture(params=composes(), ids=" ".join)
def compose(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return request.param


class TestEnvFile:
    def test_env_file_is_readable_only_by_its_owner(self, tmp_path):
        assert stat.S_IMODE(made(tmp_path).stat().st_mode) == 0o600

    def test_existing_env_file_stays_unchanged(self, tmp_path):
        (tmp_path / ".env").write_text("POSTGRES_PASSWORD=mine\n")
        assert made(tmp_path).read_text() == "POSTGRES_PASSWORD=mine\n"

    def test_two_env_files_have_different_secrets(self, tmp_path):
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
        a, b = (dict(line.split("=", 1) for line in _lines(made(tmp_path / name))) for name in ("a", "b"))
        assert all(a[name] != b[name] and len(a[name]) >= 32 for name in SECRETS)


def _lines(file: Path) -> list[str]:
    return [line for line in file.read_text().splitlines() if "=" in line and not line.startswith("#")]


class TestComposeFile:
    def test_config_prints_no_warning(self, compose, tmp_path):
        shown = run(*compose, "--env-file", str(made(tmp_path)), "config")
        assert not shown.stderr
        assert all(f"  {service}:" in shown.stdout for service in SERVICES)

    def test_compose_file_contains_no_secret(self, tmp_path):
        text = (ROOT / "docker-compose.yml").read_text()
        assert not [name for name in SECRETS if f"{name}=" in text or f"{name}:-" in text]

    @pytest.mark.parametrize("missing", [*SECRETS, "MODELYARD_STORAGE_URL"])
    def test_missing_setting_is_refused_with_the_command_that_writes_the_setting(self, compose, tmp_path, missing):
        file = made(tmp_path)
        file.write_text("".join(f"{line}\n" for line in _lines(file) if not line.startswith(f"{missing}=")))
        refused = run(*compose, "--env-file", str(file), "config", check=False)
        assert refused.returncode != 0
        assert missing in refused.stderr
        assert "run make compose-env" in refused.stderr

    @pytest.mark.parametrize("placeholder", ["change-me", "<your key>", "PLACEHOLDER"])
    def test_placeholder_of_a_secret_is_refused(self, image, tmp_path, placeholder):
        stack = Stack(tmp_path)
        try:
            refused = stack.compose("up", "--detach", "--no-build", check=False, REDIS_PASSWORD=placeholder)
            assert refused.returncode != 0
            assert "REDIS_PASSWORD in .env is empty or a placeholder" in stack.logs("settings")
            assert not any(container["State"]["Running"] for name in SERVICES for container in stack.containers(name))
        finally:
            stack.remove()


class TestMakeTestCompose:
    def test_make_test_compose_without_a_docker_engine_ends_with_a_sentence(self):
        refused = run("make", "test-compose", check=False, DOCKER_HOST="unix:///nowhere.sock")
        assert refused.returncode != 0
        assert "no Docker engine answers" in refused.stdout
