"""Wire the toolchain of the two builder programs. No other module knows the installer in use."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from builder.accounts import BuilderAccounts, hand_over
from builder.build_sandbox import BuildSandbox
from builder.environment_files.requirements import RequirementPolicy
from builder.installers.pip_configuration import read_pip_configuration
from builder.installers.uv import UvInstaller
from builder.installers.uv_program import UvFolders, UvProgram
from builder.interpreters.find import Interpreters
from builder.interpreters.search import SearchPlaces
from builder.toolchain import BuildToolchain, this_platform
from modelyard.core.data_dir import DataDir
from modelyard.core.environments.folder import Environments


def open_toolchain(
    data_dir: DataDir,
    *,
    environ: Mapping[str, str],
    home: Path,
    worker_user: int | None,
    requirements: RequirementPolicy | None = None,
    accounts: BuilderAccounts | None = None,
    sandbox: BuildSandbox | None = None,
) -> BuildToolchain:
    """`environ` and `home` are the platform account's: pip configuration, interpreters and proxies are read there."""
    policy = _on_this_machine(requirements or RequirementPolicy(), environ)
    accounts = accounts or BuilderAccounts()
    pip = read_pip_configuration(environ, home=home, prefix=Path(sys.prefix))
    cache, fetched = data_dir.package_cache, data_dir.runtime / "python"
    work, local_files = cache / "work", cache / "local-files"
    places = SearchPlaces.of(environ, home=home, fetched=fetched)
    interpreters = Interpreters(places, user=worker_user, copies=fetched)
    folders = UvFolders(
        cache / "uv", work=work, local_files=local_files, interpreters=fetched, programs=data_dir.runtime / "programs"
    )
    _prepare(cache, folders, accounts)
    installer = UvInstaller(
        uv=UvProgram(
            folders,
            environ=environ,
            pip=pip,
            variables=policy.variables,
            accounts=accounts,
            sandbox=sandbox,
            urls=policy.urls,
        ),
        interpreters=interpreters,
        virtualenv_data=cache / "virtualenv",
        environ=environ,
        platform=this_platform(),
        installer_account=accounts.installer,
    )
    return BuildToolchain(
        environments=Environments(data_dir.environments),
        installer=installer,
        interpreters=interpreters,
        machine_sources=pip.sources,
        work=work,
        local_files=local_files,
        wheels=cache / "wheels",
        platform=installer.platform,
        worker_user=worker_user,
        requirements=policy,
        accounts=accounts,
        sandbox=sandbox,
    )


def _on_this_machine(policy: RequirementPolicy, environ: Mapping[str, str]) -> RequirementPolicy:
    """The operator's rules, with the variables and programs that this machine lacks."""
    unset = frozenset(name for name in policy.variables if not environ.get(name))
    return replace(policy, unset=unset, has_git=shutil.which("git", path=environ.get("PATH")) is not None)


def _prepare(cache: Path, folders: UvFolders, accounts: BuilderAccounts) -> None:
    """Let the accounts of builds pass to their own folders; a cache of an earlier release changes hands once."""
    if accounts.installer is None:
        return
    for folder in (cache, folders.work, folders.local_files, cache / "wheels"):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o711)
    folders.cache.mkdir(exist_ok=True)
    if folders.cache.stat().st_uid != accounts.installer:
        hand_over(folders.cache, accounts.installer)
    folders.cache.chmod(0o700)
