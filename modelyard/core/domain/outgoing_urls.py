"""The one rule for URLs that the platform opens for a user or a model: schemes, user information, addresses.

URLs in the operator's settings are the operator's decision and pass unchecked. `modelyard.core.adapters.outgoing`
applies the rule again to each address at connect time.
"""

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from modelyard.core.domain.declared_text import shown, unprintable_in

Address = IPv4Address | IPv6Address

WEB = frozenset({"http", "https"})

_LONGEST_URL = 4096
_HOST = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*\.?")
_FORBIDDEN = re.compile(r"[\s\\<>\"`|^]")
_NAT64 = ip_network("64:ff9b::/96")
# Metadata services of clouds outside the link-local network.
_METADATA = frozenset({ip_address("fd00:ec2::254"), ip_address("100.100.100.200"), ip_address("168.63.129.16")})


class RefusedUrl(ValueError):
    """The message names the URL's fault, and never its user information."""


@dataclass(frozen=True, slots=True)
class UrlPolicy:
    """The rule, with the hosts and networks that the operator allows although the rule refuses them."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "UrlPolicy":
        """Read a list like "packages.internal, 127.0.0.1, 10.1.0.0/16". Raises ValueError."""
        hosts, networks = set[str](), []
        for entry in (part.strip().lower().strip("[]") for part in text.split(",")):
            if not entry:
                continue
            try:
                networks.append(ip_network(entry, strict=False))
            except ValueError:
                if not _HOST.fullmatch(entry):
                    raise ValueError(f"must list host names, addresses or networks, not {shown(entry)}") from None
                hosts.add(entry.rstrip("."))
        return cls(frozenset(hosts), tuple(networks))

    def check(self, url: str, *, schemes: frozenset[str] = WEB) -> SplitResult:
        """Return the URL's parts. Raises RefusedUrl for a URL that is malformed, or that names a refused address."""
        if unprintable_in(url) is not None or _FORBIDDEN.search(url) or len(url) > _LONGEST_URL:
            raise RefusedUrl("the URL has a blank, a control character or a backslash, or is longer than 4096 bytes")
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise RefusedUrl(f"the URL is malformed: {error}") from None
        if parts.scheme not in schemes:
            allowed = ", ".join(f"{scheme}://" for scheme in sorted(schemes))
            raise RefusedUrl(f"the scheme {shown(parts.scheme)} is not allowed: use {allowed}")
        if parts.netloc.count("@") > 1 or not host:
            raise RefusedUrl("the URL names no host, or '@' stands twice before the host: write '%40' in a password")
        self.check_host(host)
        return parts

    def check_host(self, host: str) -> None:
        """Check a host's spelling, and its address where the host is written as one."""
        name = host.lower().rstrip(".")
        address = written_address(name)
        if address is not None:
            self.check_address(host, address)
        elif not _HOST.fullmatch(name):
            raise RefusedUrl(f"{shown(host)} is not a host name: write letters, digits, dashes and dots")
        elif name not in self.hosts and f".{name}".endswith((".localhost", ".localdomain")):
            raise RefusedUrl(_refusal(host, "the machine itself"))

    def check_address(self, host: str, address: Address) -> None:
        """Check an address that `host` resolves to. Raises RefusedUrl."""
        if host.lower().rstrip(".") in self.hosts or any(_within(address, network) for network in self.networks):
            return
        kind = _refused_kind(_unwrapped(address))
        if kind is not None:
            raise RefusedUrl(_refusal(host, kind))


def written_address(host: str) -> Address | None:
    """The address that a host is written as, also in the short, octal and hexadecimal forms: "127.1", "0x7f000001"."""
    try:
        return ip_address(host.partition("%")[0] if ":" in host else host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host)) if host.isascii() else None
    except (OSError, ValueError):
        return None


def _within(address: Address, network: IPv4Network | IPv6Network) -> bool:
    return any(each.version == network.version and each in network for each in (address, _unwrapped(address)))


def _unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 address that only carries one."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)


def _refused_kind(address: Address) -> str | None:
    if address.is_loopback or address.is_unspecified:
        return "the machine itself"
    if address.is_link_local:
        return "a link-local address"
    if address in _METADATA:
        return "a cloud's metadata service"
    if address.is_multicast or (address.is_reserved and isinstance(address, IPv4Address)):
        return "a multicast or reserved address"
    return None


def _refusal(host: str, kind: str) -> str:
    return (
        f"the host {shown(host)} is {kind}, which URLs of users and models may not name: use another host, or ask the "
        "operator to list the host in MODELYARD_OUTGOING_ALLOWED_HOSTS"
    )
