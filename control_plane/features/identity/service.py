"""Derived tokens for clients that sign in as a managed identity."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from modelyard.core.domain.caller import Caller
from modelyard.core.domain.derived_tokens import DerivedToken, DerivedTokenSigner


@dataclass(frozen=True, slots=True)
class IssuedToken:
    text: str
    expires_at: int
    """Unix seconds."""


class IdentityTokens:
    def __init__(
        self, signer: DerivedTokenSigner, *, lifetime_seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._signer = signer
        self._lifetime_seconds = lifetime_seconds
        self._clock = clock

    def issue(self, caller: Caller, parent: str, parent_ends_at: float | None) -> IssuedToken:
        """A token with the subject and the roles of the caller's token, whose fingerprint is `parent`."""
        ends_at = self._clock() + self._lifetime_seconds
        expires_at = int(ends_at if parent_ends_at is None else min(ends_at, parent_ends_at))
        return IssuedToken(self._signer.issue(DerivedToken(parent, expires_at)), expires_at)
