"""Read pip's own configuration (pip.conf and PIP_* variables) in pip's order of precedence.

Package sources configured for pip need no second configuration for the platform.
Source: pip's configuration documentation and pip/_internal/configuration.py.
"""

import configparser
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelyard.core.domain.environment_spec import PackageSources

# The later section wins over the earlier, and variables win over both.
_SECTIONS = ("global", "install")
_NOT_OPTIONS = frozenset({"PIP_CONFIG_FILE", "PIP_VERSION", "PIP_HELP"})
_TRUE = frozenset({"1", "y", "yes", "true", "t", "on"})


@dataclass(frozen=True, slots=True)
class PipConfiguration:
    sources: PackageSources = field(default_factory=PackageSources)
    constraint_files: tuple[str, ...] = ()
    certificates: str | None = None
    """A file of CA certificates, or a folder with certificate files."""
    client_certificate: str | None = None
    timeout_seconds: str | None = None
    """Whole seconds."""
    retries: str | None = None
    proxy: str | None = None
    uses_keyring: bool = False
    notes: tuple[str, ...] = ()
    """Unreadable configuration files, with the reason."""


def read_pip_configuration(environ: Mapping[str, str], *, home: Path, prefix: Path) -> PipConfiguration:
    """`prefix` is the prefix of the platform's Python, where pip may have a pip.conf too."""
    files, notes = _files(environ, home, prefix), list[str]()
    options: dict[str, str] = {}
    sections = [_sections(file, notes) for file in files]
    for name in _SECTIONS:
        for read in sections:
            options.update(read.get(name, {}))
    options.update(_from_variables(environ))
    return PipConfiguration(
        sources=_sources(options),
        constraint_files=_words(options, "constraint"),
        certificates=options.get("cert"),
        client_certificate=options.get("client-cert"),
        timeout_seconds=options.get("default-timeout", "").partition(".")[0] or None,
        retries=options.get("retries"),
        proxy=options.get("proxy"),
        uses_keyring=options.get("keyring-provider") in {"subprocess", "import"},
        notes=tuple(notes),
    )


def _files(environ: Mapping[str, str], home: Path, prefix: Path) -> list[Path]:
    """The existing configuration files, lowest precedence first."""
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    shared = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    own = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    site = [Path(folder) / "pip" / "pip.conf" for folder in reversed(shared.split(":"))]
    user = [] if named and Path(named).exists() else [home / ".pip" / "pip.conf", own / "pip" / "pip.conf"]
    explicit = [Path(named)] if named else []
    return [file for file in (*site, Path("/etc/pip.conf"), *user, prefix / "pip.conf", *explicit) if file.is_file()]


def _sections(file: Path, notes: list[str]) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        notes.append(f"{file} is ignored: {' '.join(str(error).split())}")
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


def _words(options: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(options.get(name, "").split())


def _flag(options: Mapping[str, str], name: str) -> bool:
    return options.get(name, "").strip().lower() in _TRUE
