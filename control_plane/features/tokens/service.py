"""Making, listing and revoking access tokens."""

from collections.abc import Callable
from datetime import UTC, datetime

from control_plane.features.tokens import repository
from control_plane.features.tokens.access_token import AccessToken, AccessTokenSpec
from control_plane.resources.paging import Page, PageResult
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import WorkspacePath
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.access_tokens import new_access_token, token_digest
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.names import check_asset_name
from modelyard.core.domain.roles import Role
from modelyard.core.errors import InvalidRequest


class AccessTokens:
    def __init__(self, sessions: Sessions, credentials_changed: Callable[[], None]) -> None:
        """`credentials_changed` is called after a token was made or revoked."""
        self._sessions = sessions
        self._credentials_changed = credentials_changed

    def get(self, caller: Caller, path: WorkspacePath, name: str) -> AccessToken:
        with transaction(self._sessions) as work:
            return repository.get_token(work.session, get_workspace(work.session, path), name)

    def list(self, caller: Caller, path: WorkspacePath, page: Page) -> PageResult[AccessToken]:
        """By name; ended tokens too."""
        with transaction(self._sessions) as work:
            return PageResult.of(repository.list_tokens(work.session, get_workspace(work.session, path), page), page)

    def create(self, caller: Caller, path: WorkspacePath, name: str, spec: AccessTokenSpec) -> tuple[AccessToken, str]:
        """The token, and its text, which the platform does not keep.

        A caller can give the roles of workspaces of which the caller is an owner, and no other.
        """
        check_asset_name(name, noun="token")
        if spec.expires_at is not None and spec.expires_at <= datetime.now(UTC):
            raise InvalidRequest(
                f"the token would expire at {spec.expires_at.isoformat()}, which is past: name a later time",
                target="properties.expiresAt",
            )
        for held in spec.roles:
            caller.check_role(Role.OWNER, held.scope)
        text = new_access_token()
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            made = repository.add_token(work.session, caller, workspace, name, spec, token_digest(text))
            work.after_commit(self._credentials_changed)
        return made, text

    def revoke(self, caller: Caller, path: WorkspacePath, name: str) -> AccessToken | None:
        """None: there is no such token."""
        with transaction(self._sessions) as work:
            revoked = repository.revoke_token(work.session, caller, get_workspace(work.session, path), name)
            work.after_commit(self._credentials_changed)
        return revoked
