"""`modelyard config`: the settings of the platform on this machine."""

from pathlib import Path
from typing import Annotated, Any

import typer

from modelyard.cli.options import OutputFormat
from modelyard.cli.output import Column, show_all
from modelyard.cli.session import session_of
from modelyard.cli.up import given_flags, server_function
from modelyard.core.data_dir import default_data_path
from modelyard.supervisor.options import UpOptions

app = typer.Typer(no_args_is_help=True, help="Settings of the platform on this machine.")

COLUMNS = (Column("Setting", "name"), Column("Value", "value"), Column("Source", "source"))

_SETTINGS_IN_FORCE = "modelyard.supervisor.config_report:settings_in_force"


@app.callback()
def config() -> None:
    """Make `show` a subcommand: Typer would turn a single command into the noun itself."""


@app.command()
def show(
    context: typer.Context,
    data_dir: Annotated[
        Path | None, typer.Option(help="The platform's data dir (default: as for `up`).", show_default=False)
    ] = None,
    output: OutputFormat = None,
) -> None:
    """Print each setting in force, and its source.

    For a running platform these are the settings of its start, else those that `up` would use now. Secrets are masked.
    """
    environment = session_of(context).environment
    options = UpOptions(data_dir=data_dir or default_data_path(environment), flags=given_flags(context))
    rows: list[dict[str, Any]] = [
        {"name": setting.name, "value": setting.value, "source": setting.source}
        for setting in server_function(_SETTINGS_IN_FORCE)(options, environment)
    ]
    show_all(rows, COLUMNS, output)
