"""Access tokens of a control plane under test, and requests with them."""

from datetime import timedelta
from typing import Any

import httpx2
from sqlalchemy import func, update

from modelyard.core.db.rows import AccessTokenRow
from tests.control_plane.control import WORKSPACE, Control, anonymous

OTHER_WORKSPACE = WORKSPACE.removesuffix("default") + "other"


def make_token(control: Control, name: str, *roles: str | dict[str, str], **properties: Any) -> str:
    """Make a token for the subject `name`. A role is a role in the default workspace, or a body. Returns the text."""
    bodies = [role if isinstance(role, dict) else {"role": role} for role in roles]
    body = {"properties": {"subject": name, "roles": bodies, **properties}}
    return str(control.put(f"/tokens/{name}", body)["properties"]["token"])


def expire(control: Control, name: str) -> None:
    with control.sessions.begin() as session:
        past = func.now() - timedelta(seconds=1)
        session.execute(update(AccessTokenRow).where(AccessTokenRow.name == name).values(expires_at=past))
    control.services.verifier.credentials_changed()


def ask_as(token: str | None, control: Control, method: str, path: str, body: Any = None) -> httpx2.Response:
    """`path` below the default workspace, or absolute when it begins with '//'."""
    target = control.url + (path[1:] if path.startswith("//") else f"{WORKSPACE}{path}")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return anonymous.request(method, target, json=body, headers=headers)
