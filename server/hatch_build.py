"""Collect the planes: from the parent folder in the repository, from this folder in a source distribution."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_PACKAGES = ("control_plane", "data_plane", "builder", "migrations")


class PlanesBuildHook(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return  # dev-mode-dirs in pyproject.toml points to the repository
        here = Path(self.root)
        home = here if (here / "PKG-INFO").exists() else here.parent
        build_data["force_include"].update({str(home / package): package for package in _PACKAGES})
