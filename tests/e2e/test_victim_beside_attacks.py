"""An ordinary client asks one endpoint ten times a second while each attack runs: no request fails, none waits long.

On a platform of root, and on a platform of an ordinary user.
"""

import ast
import os
import pwd
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.conftest import temporary_folder
from tests.e2e.hostile_model import facts_of, run, save_attacker
from tests.e2e.models import answering, save_loader
from tests.e2e.platform import OrdinaryUser, Platform, wait_until
from tests.e2e.steady_caller import SteadyCaller
from tests.hostile_http import HOSTILE_REQUESTS, statuses
from tests.security.attacks import ALLOWED_WITH_AN_ACCOUNT, ATTACKS, STORMS

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.getuid() != 0, reason="root gives the accounts"),
    pytest.mark.skipif(
        not Path("/usr/bin/python3").exists(), reason="an ordinary user needs a python outside of /root"
    ),
]

# Postgres demands an account with a name. Debian's images have this one, and no service of theirs runs under it.
SPARE_ACCOUNT = "games"
QUIET_SECONDS = 20.0
ATTACK_SECONDS = 0.5
STORM_SECONDS = 3.0
# The machine may be shared with other tests.
LEAST_BOUND_SECONDS = 0.05
LIMITS = {
    "MODELYARD_WORKER_MEMORY_BYTES": str(2 << 30),
    "MODELYARD_WORKER_FILE_BYTES": str(128 << 20),
    "MODELYARD_WORKER_PROCESSES": "300",
    "MODELYARD_WORKER_OPEN_FILES": "512",
}
BOMB = "a0: &a0 [x,x,x,x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 8))
LEAK = "print('code of the package ran')\n"


def write_wheel(folder: Path, files: dict[str, str]) -> None:
    information = "evil-1.0.dist-info"
    files = {
        **files,
        f"{information}/METADATA": "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{information}/RECORD"] = "".join(f"{name},,\n" for name in files)
    with zipfile.ZipFile(folder / "evil-1.0-py3-none-any.whl", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


# Lines of pip in conda.yaml; each names its sentence.
REQUIREMENTS = {
    "second line": ("https://192.0.2.1/evil-1.0-py3-none-any.whl ; python_version < '3'\n-r {secret}", "U+000A"),
    "variable": ("https://192.0.2.1/$HOME/evil-1.0-py3-none-any.whl", "$"),
    "repository of files": ("git+file:///root/secret", "git+file"),
    "file": ("file://{secret}", "file:"),
    "find-links outside": ("--find-links file:///", "find-links"),
    "NUL": ("https://192.0.2.1/evil\0-1.0-py3-none-any.whl", "U+0000"),
    "loopback": ("https://127.0.0.1:1/evil-1.0-py3-none-any.whl", "127.0.0.1"),
    "metadata service": ("https://169.254.169.254/evil-1.0-py3-none-any.whl", "169.254.169.254"),
}
WHEELS = {
    "entry outside": {"../../evil.py": LEAK},
    "program outside": {"evil-1.0.dist-info/entry_points.txt": "[console_scripts]\n../../python = json:tool\n"},
}


@pytest.fixture(scope="module", params=["root", "ordinary user"])
def platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    with temporary_folder() as folder:
        user = OrdinaryUser.in_folder(folder, pwd.getpwnam(SPARE_ACCOUNT).pw_uid) if request.param != "root" else None
        platform = Platform(folder, user=user, **LIMITS)
        platform.start("--builders", "1", "--batch-workers", "0")
        try:
            yield platform
        finally:
            platform.stop()
            wait_until(lambda: not platform.processes(), 30, "no process is left")


@pytest.fixture(scope="module")
def models() -> Iterator[Path]:
    """A folder that every account can read."""
    with temporary_folder() as folder:
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="module")
def victim(platform: Platform, models: Path) -> Iterator[SteadyCaller]:
    folder = models / "victim"
    if not folder.exists():
        save_loader(folder, answering("[float(row[0]) for row in model_input]"))
        save_attacker(models / "hostile")
    platform.cli("deploy", folder, "--endpoint-name", "victim")
    platform.cli("deploy", models / "hostile", "--endpoint-name", "hostile")
    caller = SteadyCaller(platform, "victim", {"input_data": [[1.5, 2.0]]})
    with caller.calling():
        yield caller


@pytest.fixture(scope="module")
def quiet(victim: SteadyCaller) -> float:
    """The victim's p99 without an attack, in seconds."""
    with victim.answers() as answers:
        time.sleep(QUIET_SECONDS)
    assert set(answers.statuses) == {200}, answers.statuses
    return answers.p99


@pytest.fixture(scope="module")
def facts(platform: Platform, victim: SteadyCaller) -> dict[str, Any]:
    return facts_of(platform, "hostile", "victim")


class Record:
    """The victim's answers beside each attack."""

    def __init__(self, victim: SteadyCaller) -> None:
        self._victim = victim
        self._seconds: list[float] = []
        self.slowest: tuple[float, str] = (0.0, "")

    def beside(self, name: str, act: Any, seconds: float) -> None:
        """Repeat the attack for the given time, ten times a second at most."""
        with self._victim.answers() as answers:
            until = time.monotonic() + seconds
            while True:
                act()
                if time.monotonic() >= until:
                    break
                time.sleep(0.1)
        assert set(answers.statuses) == {200}, (name, answers.statuses)
        self._seconds += answers.seconds
        self.slowest = max(self.slowest, (max(answers.seconds), name))

    def check(self, quiet: float) -> None:
        p99 = sorted(self._seconds)[int(len(self._seconds) * 0.99)]
        print(
            f"{len(self._seconds)} requests, none failed; p99 {p99 * 1000:.1f} ms, quiet {quiet * 1000:.1f} ms; "
            f"slowest {self.slowest[0] * 1000:.1f} ms beside {self.slowest[1]!r}"
        )
        assert p99 <= max(2 * quiet, LEAST_BOUND_SECONDS), (p99, quiet, self.slowest)


def test_attacks_of_a_model(platform: Platform, victim: SteadyCaller, quiet: float, facts: dict[str, Any]) -> None:
    record, key = Record(victim), platform.key("hostile")
    is_root = platform.uid == 0
    succeeded: dict[str, Any] = {}

    def attack(name: str) -> None:
        outcome = run(platform, name, facts, key)
        if outcome["succeeded"] and not (is_root and name in ALLOWED_WITH_AN_ACCOUNT):
            succeeded[name] = outcome

    for name in ATTACKS:
        record.beside(name, lambda name=name: attack(name), ATTACK_SECONDS)
    assert not succeeded
    record.check(quiet)


def test_storms_of_a_model(platform: Platform, victim: SteadyCaller, quiet: float, facts: dict[str, Any]) -> None:
    record, key = Record(victim), platform.key("hostile")
    for name in STORMS:
        record.beside(name, lambda name=name: run(platform, name, {**facts, "most": 500}, key), STORM_SECONDS)
    record.check(quiet)


def test_hostile_requests_to_both_ports(platform: Platform, victim: SteadyCaller, quiet: float) -> None:
    record = Record(victim)
    for url in (platform.url, platform.scoring_url):
        port = urlsplit(url).port or 0

        def send(port: int = port) -> None:
            for parameters in HOSTILE_REQUESTS:
                request, status = parameters.values
                assert statuses(port, request) == [status], parameters.id

        record.beside(f"requests to {port}", send, STORM_SECONDS)
    record.check(quiet)


def hostile_folders(folder: Path, secret: str) -> Iterator[tuple[str, Path, str]]:
    """Names, model folders, and words of the refusal."""
    for name, (line, says) in REQUIREMENTS.items():
        yield name, save_loader(folder / name, answering("[1]"), pip=(line.format(secret=secret),)), says
    for name, files in WHEELS.items():
        made = save_loader(folder / name, answering("[1]"), pip=("./evil-1.0-py3-none-any.whl",))
        write_wheel(made, files)
        yield name, made, "evil"
    for name, text in {"alias bomb": BOMB, "deep": "x: " + "[" * 5000, "17 MB": "#" * (17 << 20)}.items():
        made = save_loader(folder / name, answering("[1]"))
        (made / "MLmodel").write_text((made / "MLmodel").read_text() + text)
        yield name, made, "MLmodel"


def test_hostile_model_folders(
    platform: Platform, victim: SteadyCaller, quiet: float, models: Path, tmp_path: Path
) -> None:
    record = Record(victim)
    secrets = {path.name: path.read_text().strip() for path in (platform.data_dir / "secrets").glob("postgres.pass*")}
    assert secrets
    folder = models / platform.folder.name
    folder.mkdir()
    for name, made, says in hostile_folders(folder, str(platform.data_dir / "secrets" / "postgres.password")):

        def deploy(made: Path = made, says: str = says) -> None:
            # The command of another machine takes no processor time from the platform.
            done = platform.cli(
                *("deploy", made, "--endpoint-name", "refused"), check=False, preexec_fn=lambda: os.nice(19)
            )
            said = done.stdout + done.stderr
            assert done.returncode != 0, said
            assert says in said
            assert not any(secret.lower() in said.lower() for secret in secrets.values())
            platform.cli("online-endpoint", "delete", "-n", "refused", "--yes", check=False)

        record.beside(name, deploy, 0)
    record.check(quiet)


def test_wrong_tokens_and_slow_uploads(platform: Platform, victim: SteadyCaller, quiet: float) -> None:
    """A flood of wrong tokens to both ports, and requests whose bodies never end."""
    record = Record(victim)
    wrong = {"Authorization": "Bearer " + "x" * 43}
    with httpx2.Client(headers=wrong, timeout=30) as client:

        def flood() -> None:
            for _ in range(20):
                answer = client.get(f"{platform.url}/subscriptions", params={"api-version": "2024-04-01"})
                assert answer.status_code in {401, 404, 429}
                assert client.post(f"{platform.scoring_url}/victim/score", json={}).status_code == 401

        record.beside("wrong tokens", flood, STORM_SECONDS)
    record.check(quiet)


POISON = """
import builtins, glob, os

def reads(path):
    try:
        with open(path, "rb") as file:
            return bool(file.read(1))
    except OSError:
        return False

def writes(folder):
    try:
        with open(folder + "/planted-{module}", "x"):
            return True
    except OSError:
        return False

paths = ["{data}/secrets/" + name for name in ("admin.token", "master.key", "postgres.password")] + ["/etc/shadow"]
folders = ["{data}", "{data}/models", "{data}/environments", "{data}/bundles", os.path.dirname(__file__), "/tmp"]
found = [path for path in paths if reads(path)] + [folder for folder in folders if writes(folder)]
names = [name for name in os.environ if name.startswith(("MODELYARD_", "AWS_", "PIP_")) and "KEY" in name]
builtins.poisoned = getattr(builtins, "poisoned", []) + [("{module}", os.getuid(), found + names)]
"""


def test_modules_that_python_loads_at_its_start_reach_nothing(platform: Platform, models: Path) -> None:
    modules = ("sitecustomize", "usercustomize", "loaded_by_pth")
    files = {
        f"{module}.py": POISON.replace("{module}", module).replace("{data}", str(platform.data_dir))
        for module in modules
    }
    files["evil.pth"] = "import loaded_by_pth\n"
    made = save_loader(
        models / platform.folder.name / "poisoned",
        answering("[repr(__import__('builtins').poisoned)]"),
        pip=("./evil-1.0-py3-none-any.whl",),
    )
    write_wheel(made, files)
    platform.cli("deploy", made, "--endpoint-name", "poisoned")
    # The import check has its own processes, whose finds only the planted files would show.
    (answer,) = platform.score("poisoned", {"input_data": [[1]]}).json()
    poisoned = ast.literal_eval(answer)
    # The system's python, which the ordinary user has, brings a sitecustomize that comes first.
    expected = {"sitecustomize", "loaded_by_pth"} if platform.uid == 0 else {"loaded_by_pth"}
    assert expected <= {module for module, _, _ in poisoned}
    assert {found for _, _, all_found in poisoned for found in all_found} == set()
    if platform.uid == 0:
        assert 0 not in {uid for _, uid, _ in poisoned}
    assert not [*platform.data_dir.rglob("planted-*"), *Path("/tmp").glob("planted-*")]
