"""Verification of an admin token that may be short. Its digest is slow by design, so one thread computes digests."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Set
from concurrent.futures import ThreadPoolExecutor

from modelyard.core.adapters.secret_box import token_matches
from modelyard.core.errors import TooManyFailures

_MOST_CHECKS = 16
_MOST_REMEMBERED = 64
_RETRY_SECONDS = 1


class PasswordVerifier:
    """Each address has one check at a time. A verified token is remembered while its digest is stored."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="password-verifier")
        self._verified: OrderedDict[bytes, str] = OrderedDict()
        """Fingerprint of a token -> the digest that it matches."""
        self._checks: dict[bytes, asyncio.Task[str | None]] = {}
        self._addresses: set[str] = set()

    def remembers(self, token: str, digests: Set[str]) -> bool:
        """Whether the token was verified before, without a check."""
        return self._verified.get(_fingerprint(token)) in digests

    async def matches(self, token: str, digests: Set[str], address: str) -> bool:
        """Raises TooManyFailures while other checks of the address, or of many addresses, are under way."""
        fingerprint = _fingerprint(token)
        check = self._checks.get(fingerprint)
        if check is None:
            if address in self._addresses or len(self._addresses) >= _MOST_CHECKS:
                raise TooManyFailures(_RETRY_SECONDS)
            check = self._checks[fingerprint] = asyncio.create_task(self._check(fingerprint, token, digests, address))
        return await asyncio.shield(check) is not None

    async def _check(self, fingerprint: bytes, token: str, digests: Set[str], address: str) -> str | None:
        self._addresses.add(address)
        try:
            matched = await asyncio.get_running_loop().run_in_executor(self._thread, _first_match, token, digests)
        finally:
            self._addresses.discard(address)
            del self._checks[fingerprint]
        if matched is not None:
            self._verified[fingerprint] = matched
            if len(self._verified) > _MOST_REMEMBERED:
                self._verified.popitem(last=False)
        return matched


def _fingerprint(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()


def _first_match(token: str, digests: Set[str]) -> str | None:
    return next((digest for digest in digests if token_matches(token, digest)), None)
