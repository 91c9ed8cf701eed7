"""`modelyard backup` and `modelyard restore`, on a machine that has the server installed."""

import sys
from collections.abc import Mapping
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer

from modelyard.backup.options import BackupOptions, RestoreOptions
from modelyard.cli.session import session_of
from modelyard.cli.up import server_function
from modelyard.client.errors import InvalidDocument
from modelyard.core.data_dir import default_data_path

# By name, as `modelyard up`.
_BACKUP = "modelyard.backup.backup:backup"
_RESTORE = "modelyard.backup.restore:restore"

_PASSPHRASE = "MODELYARD_BACKUP_PASSPHRASE"
_SHORTEST_PASSPHRASE = 12

Place = Annotated[
    str, typer.Argument(metavar="FILE|URL", help="A path (.tar, .tar.gz), or s3://bucket/folder/name.tar.")
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="The folder of all data of the platform (default: as of modelyard up).", show_default=False
    ),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        help=f"A file with the passphrase of the secrets (default: {_PASSPHRASE}, else a prompt).", show_default=False
    ),
]


def backup(
    context: typer.Context,
    place: Place,
    data_dir: DataDirOption = None,
    passphrase_file: PassphraseFile = None,
    without_secrets: Annotated[bool, typer.Option("--without-secrets", help="Leave the secrets out.")] = False,
    without_wheels: Annotated[
        bool, typer.Option("--without-wheels", help="Leave the packages of environments out.")
    ] = False,
    with_logs: Annotated[bool, typer.Option("--with-logs", help="Include the logs of deployments.")] = False,
) -> None:
    """Write a backup of the running platform to a file or an object store."""
    run_backup = server_function(_BACKUP)
    environment = session_of(context).environment
    passphrase = _passphrase(environment, passphrase_file, without_secrets, is_new=True)
    options = BackupOptions(
        place, data_dir or default_data_path(environment), passphrase, with_logs, with_wheels=not without_wheels
    )
    raise typer.Exit(run_backup(options, environment, _say))


def restore(
    context: typer.Context,
    place: Place,
    data_dir: DataDirOption = None,
    passphrase_file: PassphraseFile = None,
    without_secrets: Annotated[
        bool, typer.Option("--without-secrets", help="Restore without the secrets: keys cannot be shown again.")
    ] = False,
) -> None:
    """Restore a backup into an empty data dir, or into the database and the object store that variables name."""
    run_restore = server_function(_RESTORE)
    environment = session_of(context).environment
    passphrase = _passphrase(environment, passphrase_file, without_secrets, is_new=False)
    raise typer.Exit(
        run_restore(RestoreOptions(place, data_dir or default_data_path(environment), passphrase), environment, _say)
    )


def _passphrase(
    environment: Mapping[str, str], file: Path | None, without_secrets: bool, *, is_new: bool
) -> str | None:
    if without_secrets:
        if file is not None:
            raise typer.BadParameter("--without-secrets and --passphrase-file exclude each other")
        return None
    if file is not None:
        return _checked(_first_line(file), str(file), is_new=is_new)
    if environment.get(_PASSPHRASE):
        return _checked(environment[_PASSPHRASE], _PASSPHRASE, is_new=is_new)
    if not sys.stdin.isatty():
        raise typer.BadParameter(
            f"the secrets need a passphrase: pass --passphrase-file, set {_PASSPHRASE}, or pass --without-secrets"
        )
    return _prompted(is_new=is_new)


def _first_line(file: Path) -> str:
    try:
        return file.read_text().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InvalidDocument(f"cannot read the passphrase in {file}: {reason}") from None


def _prompted(*, is_new: bool) -> str:
    passphrase = getpass("Passphrase of the backup's secrets: ")
    if is_new and getpass("The same passphrase again: ") != passphrase:
        raise typer.BadParameter("the two passphrases differ")
    return _checked(passphrase, "the prompt", is_new=is_new)


def _checked(passphrase: str, source: str, *, is_new: bool) -> str:
    """A passphrase can be tried at leisure on a stolen archive, so a short one protects nothing."""
    if is_new and len(passphrase) < _SHORTEST_PASSPHRASE:
        raise typer.BadParameter(
            f"the passphrase of {source} has {len(passphrase)} characters: use at least {_SHORTEST_PASSPHRASE}"
        )
    return passphrase


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
