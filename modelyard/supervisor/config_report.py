"""The report of `modelyard config show`: the settings in force with their sources, secrets masked.

A running platform keeps the report of its start in `run/settings.json`: the environment of the asking shell may differ.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from modelyard.core.data_dir import DataDir
from modelyard.core.settings import Tunables
from modelyard.core.settings_variables import variables_of
from modelyard.process.atomic_files import replace_file
from modelyard.supervisor.data_dir_lock import read_run_info
from modelyard.supervisor.environment_settings import (
    ADMIN_TOKEN,
    BROKER_URL,
    DATABASE_URL,
    MASTER_KEY,
    STORAGE_URL,
    read_environment,
    server_address,
)
from modelyard.supervisor.options import UpOptions

_MASKED = "********"
_DEFAULT = "default"
_FLAG_VARIABLES = {
    "MODELYARD_PUBLIC_URL": "public_url",
    "MODELYARD_SCORING_PUBLIC_URL": "scoring_public_url",
    "MODELYARD_TLS_CERTIFICATE": "tls_certificate",
    "MODELYARD_TLS_KEY": "tls_key",
}


@dataclass(frozen=True, slots=True)
class SettingReport:
    name: str
    value: str
    source: str
    """"default", "data dir", "flag", or "environment variable" with the name."""


def settings_file(data: DataDir) -> Path:
    return data.run / "settings.json"


def settings_in_force(options: UpOptions, environment: Mapping[str, str] = os.environ) -> tuple[SettingReport, ...]:
    """Return the settings of the platform that runs on the data dir, else those that a start would use.

    Raises InvalidSetting for an environment with which a start would fail.
    """
    data = DataDir(options.data_dir.expanduser().resolve())
    if read_run_info(data) is not None and settings_file(data).exists():
        return tuple(SettingReport(**entry) for entry in json.loads(settings_file(data).read_text()))
    return report_settings(options, environment)


def report_settings(options: UpOptions, environment: Mapping[str, str]) -> tuple[SettingReport, ...]:
    return (*_flags(options), *_servers_and_secrets(environment), *_tunables(options, environment))


def write_report(report: tuple[SettingReport, ...], data: DataDir) -> None:
    content = json.dumps([asdict(setting) for setting in report], indent=1)
    replace_file(settings_file(data), content, mode=0o600)


def _flags(options: UpOptions) -> Iterator[SettingReport]:
    values = {
        "data_dir": str(options.data_dir),
        "role": ", ".join(sorted(options.roles)),
        "host": options.host,
        "port": str(options.port),
        "scoring_port": str(options.scoring_port),
        "tls": "on" if options.tls else "off",
        "tls_port": str(options.tls_port),
        "scoring_tls_port": str(options.scoring_tls_port),
        "builders": str(options.builders),
        "gateways": str(options.gateways),
        "batch_workers": "one a core, at most 4" if options.batch_workers is None else str(options.batch_workers),
    }
    for name, value in values.items():
        yield SettingReport(f"--{name.replace('_', '-')}", value, "flag" if name in options.flags else _DEFAULT)


def _servers_and_secrets(environment: Mapping[str, str]) -> Iterator[SettingReport]:
    database_url, broker_url = environment.get(DATABASE_URL), environment.get(BROKER_URL)
    storage_url = environment.get(STORAGE_URL)
    shown = {
        DATABASE_URL: server_address(database_url) if database_url else "embedded Postgres",
        BROKER_URL: server_address(broker_url) if broker_url else "embedded Valkey",
        STORAGE_URL: storage_url or "folder objects",
        MASTER_KEY: _MASKED,
        ADMIN_TOKEN: _MASKED,
    }
    for name, value in shown.items():
        yield SettingReport(name, value, f"environment variable {name}" if environment.get(name) else "data dir")


def _tunables(options: UpOptions, environment: Mapping[str, str]) -> Iterator[SettingReport]:
    tunables = read_environment(environment, options.roles).tunables
    for variable in variables_of(Tunables):
        value = variable.value_in(tunables)
        if _FLAG_VARIABLES.get(variable.name) in options.flags:
            source = "flag"
        elif variable.text_in(environment) is not None:
            source = f"environment variable {variable.name_in(environment)}"
        else:
            source = _DEFAULT
        yield SettingReport(variable.name, "" if value is None else str(value), source)
