"""`modelyard audit`: the chain of the audit events of all workspaces."""

from typing import Annotated

import typer

from modelyard.cli.options import OutputFormat
from modelyard.cli.output import show
from modelyard.cli.session import session_of
from modelyard.client.errors import ClientError

app = typer.Typer(no_args_is_help=True, help="The chain of the audit events: verify.")

Checkpoint = Annotated[
    str | None,
    typer.Option(
        "--checkpoint", metavar="EVENT:HASH", help="The head that an earlier verification printed.", show_default=False
    ),
]


class ChainBroken(ClientError):
    def __init__(self, faults: list[str]) -> None:
        super().__init__(f"the audit events were changed: {'; '.join(faults)}")


@app.command()
def verify(context: typer.Context, checkpoint: Checkpoint = None, output: OutputFormat = None) -> None:
    """Verify that no audit event was changed, removed or added outside the platform, and print the head to keep."""
    with session_of(context).client() as client:
        found = client.events.verify(checkpoint=checkpoint)
    faults = [str(fault) for fault in found["faults"]]
    result = {"events": found["events"], "first_event": found.get("firstEvent"), "head": found["head"]}
    show({**result, "expired_up_to": found["expiredUpTo"], "faults": faults}, output)
    if faults:
        raise ChainBroken(faults)
