"""pip's own configuration (pip.conf and PIP_* variables), read as pip reads it and said in uv's terms.

Users have told pip where their packages come from; they should not have to tell the platform again.
Source: pip's configuration documentation and pip/_internal/configuration.py.
"""

import configparser
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelyard.core.domain.environment_spec import PackageSources

# Later sections win over earlier ones, and variables over both.
_SECTIONS = ("global", "install")
_NOT_OPTIONS = frozenset({"PIP_CONFIG_FILE", "PIP_VERSION", "PIP_HELP"})
_TRUE = frozenset({"1", "y", "yes", "true", "t", "on"})


@dataclass(frozen=True, slots=True)
class PipConfiguration:
    sources: PackageSources = field(default_factory=PackageSources)
    constraint_files: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    """What uv is told through its environment: certificates, time limits, proxies."""
    notes: tuple[str, ...] = ()


def read_pip_configuration(environ: Mapping[str, str], *, home: Path, prefix: Path) -> PipConfiguration:
    """`prefix` is that of the platform's own Python, whose site-wide pip.conf counts too."""
    files, notes = _files(environ, home, prefix), list[str]()
    options: dict[str, str] = {}
    sections = [_sections(file, notes) for file in files]
    for name in _SECTIONS:
        for read in sections:
            options.update(read.get(name, {}))
    options.update(_from_variables(environ))
    return PipConfiguration(_sources(options), _words(options, "constraint"), _variables(options), tuple(notes))


def _files(environ: Mapping[str, str], home: Path, prefix: Path) -> list[Path]:
    """Lowest priority first."""
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    shared = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    own = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    everybody = [Path(folder) / "pip" / "pip.conf" for folder in reversed(shared.split(":"))]
    user = [] if named and Path(named).exists() else [home / ".pip" / "pip.conf", own / "pip" / "pip.conf"]
    mine = [Path(named)] if named else []
    return [file for file in (*everybody, Path("/etc/pip.conf"), *user, prefix / "pip.conf", *mine) if file.is_file()]


def _sections(file: Path, notes: list[str]) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        notes.append(f"{file} is left out: {' '.join(str(error).split())}")
        return {}
    return {name: {_option(key): value for key, value in parser.items(name)} for name in parser.sections()}


def _from_variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in environ.items():
        if name.startswith("PIP_") and name not in _NOT_OPTIONS and value:
            yield _option(name.removeprefix("PIP_")), value


def _option(name: str) -> str:
    written = name.lower().replace("_", "-").removeprefix("--")
    return {"timeout": "default-timeout", "pypi-url": "index-url"}.get(written, written)


def _sources(options: Mapping[str, str]) -> PackageSources:
    return PackageSources(
        index_url=options.get("index-url"),
        extra_index_urls=_words(options, "extra-index-url"),
        find_links=_words(options, "find-links"),
        trusted_hosts=_words(options, "trusted-host"),
        no_index=_flag(options, "no-index"),
        pre=_flag(options, "pre"),
        no_binary=tuple(options.get("no-binary", "").replace(",", " ").split()),
        only_binary=tuple(options.get("only-binary", "").replace(",", " ").split()),
    )


def _variables(options: Mapping[str, str]) -> dict[str, str]:
    certificates = options.get("cert")
    certificate_variable = "SSL_CERT_DIR" if certificates and Path(certificates).is_dir() else "SSL_CERT_FILE"
    said = {
        certificate_variable: certificates,
        "SSL_CLIENT_CERT": options.get("client-cert"),
        "UV_HTTP_TIMEOUT": options.get("default-timeout", "").partition(".")[0],
        "UV_HTTP_RETRIES": options.get("retries"),
        "ALL_PROXY": options.get("proxy"),
        "UV_KEYRING_PROVIDER": "subprocess" if options.get("keyring-provider") in {"subprocess", "import"} else None,
    }
    return {name: value for name, value in said.items() if value}


def _words(options: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(options.get(name, "").split())


def _flag(options: Mapping[str, str], name: str) -> bool:
    return options.get(name, "").strip().lower() in _TRUE
