"""The variables that installers start with: the account's own, for fetching and compiling; no platform secret."""

import re
from collections.abc import Mapping

_ALLOWED = re.compile(
    r"^(PATH|HOME|USER|LANG|LC_[A-Z]+|TZ|TMPDIR|NETRC"
    r"|(https?|all|no)_proxy|SSL_CERT_(FILE|DIR)|SSL_CLIENT_CERT|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|GIT_SSL_CAINFO"
    r"|UV_[A-Z_]+|PIP_[A-Z_]+|XDG_[A-Z_]+"
    r"|CC|CXX|CFLAGS|CXXFLAGS|CPPFLAGS|LDFLAGS|MAKEFLAGS|CARGO_HOME|RUSTUP_HOME|PKG_CONFIG_PATH|LD_LIBRARY_PATH"
    r"|CMAKE_[A-Z_]+)$",
    re.IGNORECASE,
)


def installer_environ(environ: Mapping[str, str], **extra: str) -> dict[str, str]:
    """What of `environ` an installer may see, with `extra` on top."""
    return {**{name: value for name, value in environ.items() if _ALLOWED.match(name)}, **extra}
