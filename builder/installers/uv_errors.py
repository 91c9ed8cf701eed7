"""The sentence for the report of a failed uv run: the cause, the lines of the model's files, and the change to make."""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from builder.environment_files.conda_packages import NAMES_ON_THE_INDEX
from builder.failure_lines import lines_named, lines_of, with_lines
from builder.import_error_hints import DISTRIBUTIONS
from modelyard.core.domain.declared_text import mask_credentials
from modelyard.core.domain.environment_spec import normalised

_MAX_LENGTH = 1500
# Code of a package may write into the output: names in patterns are bounded, so that a search takes linear time.
_LONGEST_OUTPUT = 1 << 18
_CAUSE = re.compile(r"\s*\n\s*(?:╰─▶|├─▶|cause:)\s*")
_DECORATION = re.compile(r"^[\s│├╰─▶×╭╮|]+", re.MULTILINE)
_HINT = re.compile(r"^hint: .*", re.MULTILINE | re.DOTALL)

_FAILED_URL = re.compile(
    r"(?:Failed to fetch: |for url \(|unable to access '|git fetch [^'\n]*'|Failed to download `?[^\n]*?@ )`?(\w+://[^\s)'`]+)"
)
_DENIED_INDEX = re.compile(
    r"An index(?: URL)? \((\S+)\) (?:could not be|returned)[^\n]*?(401 Unauthorized|403 Forbidden)"
)
_NO_VERSION = re.compile(r"there (?:is no version|are no versions) of ([\w.-]+(?:==[^\s,]+)?)")
_NOT_FOUND = re.compile(r"([\w.-]{1,200}) was not found in the (?:package registry|provided package locations)")
_OTHER_PLATFORM = re.compile(r"Wheels are available for `([\w.-]+)` \(v([^)]+)\) on the following platforms?: ([^\n]+)")
_OTHER_PYTHON = re.compile(
    r"(?<![\w.-])([\w.-]{1,200}?)(?:[=<>!]=?\S{1,200})? "
    r"(?:has no wheels with a matching Python|requires Python|depends? on Python)"
)
_HASH_MISMATCH = re.compile(r"Hash mismatch for `([\w.-]+?)(?:==[^`]*)?`")

_CREDENTIALS = (
    "credentials go before the host (user:${{NAME}}@{host}), with NAME in MODELYARD_BUILD_VARIABLES and the value "
    "in the platform's environment, or into .netrc or pip's configuration of the platform's account"
)
# Each cause as uv and git write it: what the reader's URL does, and the remedy.
_FETCH_CAUSES = (
    (r"401 Unauthorized|could not read Username|Authentication failed", "answers 401 Unauthorized", _CREDENTIALS),
    (
        r"403 Forbidden|error: 403",
        "answers 403 Forbidden",
        "check that the credentials may read there; " + _CREDENTIALS,
    ),
    (r"404 Not Found|repository '[^']*' not found", "answers 404 Not Found", "check the URL"),
    (
        r"invalid peer certificate|certificate verify failed|certificate problem|SSL certificate",
        "has a certificate that the builder does not trust",
        "ask the operator to name the authority's certificate in pip's configuration (cert = FILE)",
    ),
    (r"InvalidContentType|wrong version number", "does not speak TLS on this port", "write http:// or another port"),
    (
        r"dns error|failed to lookup|in name resolution|Name or service not known|No address associated|not resolve",
        "has a host name that the builder cannot resolve",
        "check the spelling, and the DNS of the builder's machine",
    ),
    (
        r"Connection refused|Couldn't connect|os error 111",
        "refuses the connection",
        "check host and port, and that the server runs",
    ),
    (
        r"timed out|Timeout|deadline has elapsed",
        "does not answer in time",
        "check that the builder reaches the host, or raise the time-out in pip's configuration (timeout = SECONDS)",
    ),
    (r"No route to host|unreachable", "is out of the builder's reach", "check the route and the firewall"),
    (
        r"connection closed|reset by peer|unexpected EOF|IncompleteMessage",
        "closes the connection",
        "try again, or check the proxy",
    ),
    (r"\b(5\d\d [A-Z][A-Za-z ]+)", "answers {0}", "try again when the server works"),
)


@dataclass(frozen=True, slots=True)
class FailureContext:
    """Facts about a run that uv's output lacks."""

    origins: Mapping[str, str] = field(default_factory=dict)
    """The place of each requirement, constraint and index: "conda.yaml, line 7"."""
    unreachable: Mapping[tuple[str, int], str] = field(default_factory=dict)
    """The error of each host and port to which the checking proxy made no connection."""


def explain_failure(output: str, context: FailureContext) -> str:
    """From uv's output: the cause, the lines of the model's files, and the change to make.

    An index that gives no answer hides its packages: then the answers of the indexes are the cause. Else the cause is
    the resolver's explanation ("Because …") or the error.
    """
    output = output[-_LONGEST_OUTPUT:]
    sentence = failure_sentence(output)
    causes = _index_failures(output, sentence, context)
    if not causes:
        remedies = list(_remedies(output, context.origins))
        causes = [sentence, *(remedies or [lines_named(sentence, context.origins)])]
    return mask_credentials(" ".join(cause for cause in dict.fromkeys(causes) if cause))


def failure_sentence(output: str) -> str:
    """From uv's output: the resolver's explanation ("Because …") if present, else the error and the causes."""
    shortened = _HINT.sub("", _from_the_error_on(output))
    flat = " ".join(_DECORATION.sub(" ", _CAUSE.sub(": ", shortened)).split())
    because = re.search(r"\bBecause\b.*", flat)
    sentence = mask_credentials(because[0] if because else flat)
    return _shortened(sentence or "uv failed without a message; see the build log")


def missing_packages(output: str) -> list[str]:
    """The packages that no asked index has, as far as the answers of the indexes tell."""
    names = (*_NOT_FOUND.findall(output), *(each.partition("==")[0] for each in _NO_VERSION.findall(output)))
    return list(dict.fromkeys(names))


def denials(output: str) -> list[str]:
    """uv's hints of indexes that deny access."""
    return [found[0] for found in _DENIED_INDEX.finditer(output)]


def _index_failures(output: str, sentence: str, context: FailureContext) -> list[str]:
    """The indexes, files and repositories that gave no answer, or another than the asked."""
    if sentence.startswith("Because") and not missing_packages(output):
        # The resolver knew every package: an earlier failure has been retried.
        return []
    lost = [_unreachable(place, error, context.origins) for place, error in context.unreachable.items()]
    denied = [
        _fetch_failure(url, status, context.origins)
        for url, status in _DENIED_INDEX.findall(" ".join(output.split()))
        if not any(urlsplit(url).hostname == host for host, _ in context.unreachable)
    ]
    failed = None if lost or denied else _FAILED_URL.search(output)
    return [*lost, *denied, *([_fetch_failure(failed[1], output, context.origins)] if failed else [])]


def _remedies(output: str, origins: Mapping[str, str]) -> Iterator[str]:
    flat = " ".join(output.split())
    for written in _NO_VERSION.findall(flat):
        yield from _local_label(written, origins)
    for name in _NOT_FOUND.findall(flat):
        yield _absent(name, origins)
    for name, version, platforms in _OTHER_PLATFORM.findall(output):
        yield (
            f"{with_lines(name, origins)} has no wheel for this machine in version {version}, only for "
            f"{platforms.replace('`', '')}: choose a version with a wheel for this machine, or remove the line if the "
            "package is for another system."
        )
    for name in dict.fromkeys(_OTHER_PYTHON.findall(flat)):
        yield (
            f"{with_lines(name, origins)} has no wheel for the model's Python: change the version of {name}, or "
            "the model's version of Python."
        )
    for name in _HASH_MISMATCH.findall(flat):
        yield (
            f"{with_lines(name, origins)}: the file of the package index has another hash than the line: correct "
            "--hash, or the index."
        )


def _unreachable(place: tuple[str, int], error: str, origins: Mapping[str, str]) -> str:
    host, port = place
    where = next((line for text, line in origins.items() if host in text), None)
    subject = f"{where}: " if where else ""
    _, says, remedy = next((each for each in _FETCH_CAUSES if re.search(each[0], error)), ("", "", ""))
    if not says:
        return f"{subject}{host}:{port} is not reached: {error}."
    return f"{subject}{host}:{port} {says} ({error}): {remedy}."


def _fetch_failure(url: str, cause: str, origins: Mapping[str, str]) -> str:
    shown, where = _origin_of(url, origins)
    # An install knows no origins.
    whose = ", of the platform's own configuration," if origins else ""
    subject = f"{where}: {shown}" if where else f"{shown}{whose}"
    for pattern, says, remedy in _FETCH_CAUSES:
        found = re.search(pattern, cause)
        if found is not None:
            host = urlsplit(url).hostname or "host"
            return f"{subject} {says.format(*(each.strip() for each in found.groups()))}: {remedy.format(host=host)}."
    return f"{subject} is not fetched: {failure_sentence(cause)}."


def _origin_of(url: str, origins: Mapping[str, str]) -> tuple[str, str | None]:
    """The index or requirement of the model's files that the URL belongs to, without credentials, and the line."""
    failed = _location(url)
    urls = (text for text in origins if "://" in text)
    found = [text for text in urls if _is_within(failed, _location(text.partition(" @ ")[2] or text))]
    if not found:
        return mask_credentials(url), None
    longest = max(found, key=len)
    return mask_credentials(longest), origins[longest]


def _location(url: str) -> tuple[str, str]:
    parts = urlsplit(url.removeprefix("git+").partition(" ")[0])
    host = parts.netloc.rpartition("@")[2]
    return host.lower(), parts.path.rstrip("/")


def _is_within(failed: tuple[str, str], declared: tuple[str, str]) -> bool:
    same_host = bool(declared[0]) and failed[0] == declared[0]
    return same_host and (failed[1] + "/").startswith(declared[1].partition("@")[0].partition("$")[0])


def _local_label(requirement: str, origins: Mapping[str, str]) -> Iterator[str]:
    public, plus, label = requirement.partition("+")
    if plus:
        yield (
            f"{requirement}{lines_of(requirement.partition('==')[0], origins)} is a build of another index, as "
            f"+{label} tells: write {public}, or add the index that has the build (--extra-index-url URL)."
        )


def _absent(name: str, origins: Mapping[str, str]) -> str:
    subject = with_lines(name, origins)
    module = name.replace("-", "_")
    if module in sys.stdlib_module_names:
        return f"{subject} is a module of Python itself: remove the line."
    instead = {normalised(key): value for key, value in DISTRIBUTIONS.items()}.get(normalised(name))
    instead = instead or NAMES_ON_THE_INDEX.get(name)
    if instead:
        return f"{subject} has another name on the package index: write {instead}."
    return f"{subject}: correct the name, or add the index that has the package (--extra-index-url URL)."


def _from_the_error_on(output: str) -> str:
    error = re.search(r"^(?:error:|\s*×)", output, re.MULTILINE)
    return re.sub(r"^error:\s*", "", output[error.start() :]) if error else "\n".join(output.splitlines()[-5:])


def _shortened(sentence: str) -> str:
    """The beginning tells what failed; the end usually tells the cause."""
    if len(sentence) <= _MAX_LENGTH:
        return sentence
    third = _MAX_LENGTH // 3
    return f"{sentence[:third]} … {sentence[-2 * third :]}"
