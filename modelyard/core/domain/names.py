"""Checks of names and versions by Azure's rules."""

import re

from modelyard.core.errors import InvalidName

_ENDPOINT_NAME = re.compile(r"[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?")
_ASSET_NAME = re.compile(r"[a-zA-Z0-9][-._a-zA-Z0-9]{0,254}")
_DATASTORE_NAME = re.compile(r"[a-zA-Z0-9][-_a-zA-Z0-9]{0,149}")
_VERSION = re.compile(r"[a-zA-Z0-9][-._a-zA-Z0-9]{0,29}")


def check_endpoint_name(name: str, *, noun: str = "endpoint") -> str:
    """Return a name of 3 to 32 letters, digits and dashes that begins with a letter. Raises InvalidName."""
    if not 3 <= len(name) <= 32 or not _ENDPOINT_NAME.fullmatch(name):
        raise InvalidName(
            f"{noun} name {name!r} is not allowed: use 3 to 32 letters, digits and dashes, "
            "beginning with a letter and not ending with a dash",
            target="name",
        )
    return name


def check_deployment_name(name: str) -> str:
    return check_endpoint_name(name, noun="deployment")


def check_asset_name(name: str, *, noun: str) -> str:
    """Return a name of up to 255 letters, digits, "-", "_" and ".", the rule for assets. Raises InvalidName."""
    if not _ASSET_NAME.fullmatch(name):
        raise InvalidName(
            f"{noun} name {name!r} is not allowed: use up to 255 letters, digits, dashes, underscores and dots, "
            "beginning with a letter or digit",
            target="name",
        )
    return name


def check_version(version: str, *, noun: str) -> str:
    if not _VERSION.fullmatch(version):
        raise InvalidName(
            f"{noun} version {version!r} is not allowed: use up to 30 letters, digits, dashes, underscores and dots",
            target="version",
        )
    return version


def check_datastore_name(name: str) -> str:
    """Return a name of up to 150 letters, digits, "-" and "_". Raises InvalidName."""
    if not _DATASTORE_NAME.fullmatch(name):
        raise InvalidName(
            f"datastore name {name!r} is not allowed: use up to 150 letters, digits, dashes and underscores, beginning "
            "with a letter or digit",
            target="name",
        )
    return name
