"""A hostile model on a whole platform: each request names an attack, and the answer has what the attack got."""

import json
import os
from pathlib import Path
from typing import Any

from tests.e2e.models import save_loader
from tests.e2e.platform import Platform

_SOURCE = Path(__file__).parents[1] / "security" / "attacks.py"
_MODEL = """

class Model:
    def predict(self, model_input, params=None):
        return [attack(model_input.iloc[0, 0])]

def _load_pyfunc(path):
    return Model()
"""


def save_attacker(folder: Path) -> Path:
    return save_loader(folder, _SOURCE.read_text() + _MODEL)


def facts_of(platform: Platform, attacker: str, sibling_endpoint: str) -> dict[str, Any]:
    """What an attacker could learn or guess of the platform and of another endpoint's worker."""
    (own,), (sibling,) = platform.workers_of(attacker), platform.workers_of(sibling_endpoint)
    data = platform.data_dir
    sockets = [path for path in data.rglob("*") if path.is_socket()]
    ports = [int(url.rpartition(":")[2]) for url in (platform.url, platform.scoring_url)]
    configuration = json.loads((Path(sibling["folder"]) / "worker.json").read_text())
    return {
        "data_dir": str(data),
        "secrets": str(data / "secrets"),
        "home": os.path.expanduser("~root"),
        "user": platform.uid,
        "host": platform.process("data_plane.host").pid,
        "sibling": sibling["process"]["pid"],
        "sibling_folder": sibling["folder"],
        "sibling_bundle": configuration["bundle_dir"],
        "sibling_model": configuration["model_dir"],
        "sibling_socket": sibling["socket"],
        "own_model": str(data / "models"),
        "own_bundle": str(data / "bundles"),
        "own_log": own["log"],
        "own_socket": own["socket"],
        "postgres": str(next((path for path in sockets if ".s.PGSQL" in path.name), data / "run" / "pg")),
        "valkey": str(next((path for path in sockets if "valkey" in str(path)), data / "run" / "valkey")),
        "abstract": "modelyard",
        "datagram": sibling["socket"],
        "shared_file": "/dev/shm/nothing",
        "control_port": ports[0],
        "scoring_port": ports[1],
        "system_v": 0x6D790002,
    }


def run(platform: Platform, name: str, facts: dict[str, Any], key: str | None = None) -> dict[str, Any]:
    """Run one attack in the model of the endpoint "hostile"; return its outcome."""
    text = json.dumps({"name": name, "facts": facts})
    answer = platform.score("hostile", {"input_data": {"columns": ["attack"], "data": [[text]]}}, key)
    assert answer.status_code == 200, (name, answer.text)
    (result,) = answer.json()
    outcome: dict[str, Any] = json.loads(result)
    return outcome
