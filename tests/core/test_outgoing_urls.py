"""URLs that users and models name: the allowed, the refused, and the operator's exceptions."""

from ipaddress import ip_address

import pytest

from modelyard.core.domain.outgoing_urls import RefusedUrl, UrlPolicy

POLICY = UrlPolicy()


@pytest.mark.parametrize(
    "url",
    [
        "https://packages.example/simple/",
        "http://10.1.2.3:8080/simple",
        "https://user:p%40ss@packages.example/simple",
        "https://[2001:db8::1]:8443/",
        "https://packages.example./simple",
        "http://127.example/",
    ],
)
def test_ordinary_url_is_allowed(url):
    POLICY.check(url)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://packages.example/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("gopher://packages.example/", "scheme"),
        ("unix:/run/docker.sock", "scheme"),
        ("packages.example/simple", "scheme"),
        ("https:///simple", "no host"),
        ("https://user@/simple", "no host"),
        ("https://good.example@evil.example@third.example/", "twice"),
        ("https://packages.example:99999/", "malformed"),
        ("https://packages.example:x/", "malformed"),
        ("https://[::1/", "malformed"),
        ("https://packages.example/\0", "control character"),
        ("https://packages.example/\n", "control character"),
        ("https://packages.example/a b", "blank"),
        ("https://good.example\\@evil.example/", "backslash"),
        ("https://-packages.example/", "not a host name"),
        ("https://pack,ages.example/", "not a host name"),
        ("https://pаckages.example/", "not a host name"),
        ("https://" + "a" * 5000 + "/", "longer"),
        ("http://localhost/", "machine itself"),
        ("http://LOCALHOST./", "machine itself"),
        ("http://any.localhost/", "machine itself"),
        ("http://127.0.0.1:8000/", "machine itself"),
        ("http://127.9.9.9/", "machine itself"),
        ("http://127.1/", "machine itself"),
        ("http://2130706433/", "machine itself"),
        ("http://0x7f000001/", "machine itself"),
        ("http://0177.0.0.1/", "machine itself"),
        ("http://0/", "machine itself"),
        ("http://0.0.0.0/", "machine itself"),
        ("http://[::1]/", "machine itself"),
        ("http://[::]/", "machine itself"),
        ("http://[::ffff:127.0.0.1]/", "machine itself"),
        ("http://[64:ff9b::7f00:1]/", "machine itself"),
        ("http://[2002:7f00:1::]/", "machine itself"),
        ("http://169.254.169.254/latest/meta-data/", "link-local"),
        ("http://[fe80::1%25eth0]/", "link-local"),
        ("http://[::ffff:a9fe:a9fe]/", "link-local"),
        ("http://[fd00:ec2::254]/", "metadata"),
        ("http://100.100.100.200/", "metadata"),
        ("http://224.0.0.1/", "multicast"),
        ("http://255.255.255.255/", "reserved"),
    ],
)
def test_url_is_refused_with_the_reason(url, says):
    with pytest.raises(RefusedUrl, match=says):
        POLICY.check(url)


def test_refusal_of_a_url_with_a_password_does_not_repeat_the_password():
    with pytest.raises(RefusedUrl) as refusal:
        POLICY.check("http://user:hunter2@127.0.0.1/")
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("listed", ["127.0.0.1", "localhost, 127.0.0.0/8", "::1, 127.0.0.1"])
def test_host_of_the_operators_list_is_allowed(listed):
    UrlPolicy.parse(listed).check("http://127.0.0.1:5000/")


def test_listed_name_is_allowed_at_any_address_and_other_names_are_not():
    policy = UrlPolicy.parse("index.internal")
    policy.check_address("index.internal", ip_address("127.0.0.1"))
    with pytest.raises(RefusedUrl):
        policy.check_address("other.internal", ip_address("127.0.0.1"))


@pytest.mark.parametrize("listed", ["http://x/", "a b", "*.example"])
def test_malformed_list_is_refused(listed):
    with pytest.raises(ValueError, match="must list"):
        UrlPolicy.parse(listed)
