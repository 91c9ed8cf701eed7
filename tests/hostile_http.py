"""Requests that attack the HTTP side of a port, with the status that either port must answer.

`/health` is public on both ports, so a valid form of each attack would get 200.
"""

import socket

import pytest

HOST = b"Host: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
TIMEOUT = 30


def head(*lines: bytes, target: bytes = b"/health", method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    return b"%b %b %b\r\n" % (method, target, version) + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def hosted(*lines: bytes, **parts: bytes) -> bytes:
    return head(b"Host: x", *lines, **parts)


def chunks(*pieces: bytes) -> bytes:
    return hosted(b"Transfer-Encoding: chunked") + b"".join(pieces)


def coded(*values: bytes) -> bytes:
    return hosted(*(b"Transfer-Encoding: " + value for value in values)) + b"0\r\n\r\n"


# Ends the connection, each with 400.
BAD_REQUESTS = {
    # Hosts.
    "no host": head(),
    "empty host": head(b"Host:"),
    "two hosts": head(b"Host: x", b"Host: y"),
    "the same host twice": head(b"Host: x", b"host: x"),
    "two hosts in one line": head(b"Host: x, y"),
    "host with a path": head(b"Host: x/evil"),
    "host with a user": head(b"Host: admin@x"),
    "host with a scheme": head(b"Host: http://x"),
    "host with a space": head(b"Host: x y"),
    "host with a letter for a port": head(b"Host: x:y"),
    "host with a long port": head(b"Host: x:123456"),
    "host beyond ascii": head(b"Host: \xc3\xa4"),
    "host with a quote": head(b"Host: x'or'1"),
    "two hosts in http/1.0": head(b"Host: x", b"Host: y", version=b"HTTP/1.0"),
    "host behind a space": head(b"Host : x"),
    "space before the first header": b"GET /health HTTP/1.1\r\n Host: x\r\n\r\n",
    # Lengths and codings.
    "length and chunks": hosted(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "chunks and length": hosted(b"Transfer-Encoding: chunked", b"Content-Length: 5") + b"0\r\n\r\n",
    "two lengths": hosted(b"Content-Length: 3", b"Content-Length: 4") + b"abcd",
    "the same length twice": hosted(b"Content-Length: 3", b"Content-Length: 3") + b"abc",
    "list of lengths": hosted(b"Content-Length: 3, 3") + b"abc",
    "length with a plus": hosted(b"Content-Length: +3") + b"abc",
    "negative length": hosted(b"Content-Length: -3") + b"abc",
    "hexadecimal length": hosted(b"Content-Length: 0x3") + b"abc",
    "length with a point": hosted(b"Content-Length: 3.0") + b"abc",
    "overflowing length": hosted(b"Content-Length: 99999999999999999999") + b"abc",
    "length with a space inside": hosted(b"Content-Length: 1 0") + b"abc",
    "length of letters": hosted(b"Content-Length: three") + b"abc",
    "length behind a space": hosted(b"Content-Length : 3") + b"abc",
    "coding gzip, chunked": coded(b"gzip, chunked"),
    "coding chunked, gzip": coded(b"chunked, gzip"),
    "coding identity": coded(b"identity"),
    "coding identity, then chunked": coded(b"identity", b"chunked"),
    "coding chunked, then identity": coded(b"chunked", b"identity"),
    "coding chunked twice": coded(b"chunked", b"chunked"),
    "coding chunked, chunked": coded(b"chunked, chunked"),
    "coding of a comma": coded(b"chunked,"),
    "coding in quotes": coded(b'"chunked"'),
    "coding with a parameter": coded(b"chunked;q=1"),
    "coding xchunked": coded(b"xchunked"),
    "coding cow": coded(b"cow"),
    "empty coding": coded(b""),
    "coding with a vertical tab": coded(b"\x0bchunked"),
    "coding behind a space": hosted(b"Transfer-Encoding : chunked") + b"0\r\n\r\n",
    "chunks in http/1.0": head(b"Host: x", b"Transfer-Encoding: chunked", version=b"HTTP/1.0") + b"0\r\n\r\n",
    # Lines and characters.
    "folded header": hosted(b"X-Folded: a\r\n b"),
    "header with a zero byte": hosted(b"X-Zero: a\x00b"),
    "header with a bare return": hosted(b"X-Return: a\rb"),
    "header without a colon": hosted(b"X-Nothing"),
    "header without a name": hosted(b": value"),
    "header name with a space": hosted(b"X Space: a"),
    "header name with a bracket": hosted(b"X(: a"),
    "header name beyond ascii": hosted(b"X\xe4: a"),
    "tls client hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "http/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
    "zeros": b"\x00" * 64,
    # Request lines.
    "http/0.9": b"GET /health\r\n\r\n",
    "http/0.9 by number": hosted(version=b"HTTP/0.9"),
    "http/2.0": hosted(version=b"HTTP/2.0"),
    "http/1.2": hosted(version=b"HTTP/1.2"),
    "http/9.9": hosted(version=b"HTTP/9.9"),
    "lower-case version": hosted(version=b"http/1.1"),
    "another protocol": hosted(version=b"ICY/1.1"),
    "unknown method": hosted(method=b"EVIL"),
    "lower-case method": hosted(method=b"get"),
    "space in the target": hosted(target=b"/hea lth"),
    "zero byte in the target": hosted(target=b"/health\x00"),
    "bytes beyond ascii in the target": hosted(target=b"/h\xc3\xa4lth"),
    "connect": hosted(method=b"CONNECT", target=b"x:443"),
    "connect to a path": hosted(method=b"CONNECT"),
    "target without a slash": hosted(target=b"health"),
    "star with GET": hosted(target=b"*"),
    "absolute target of another host": hosted(target=b"http://evil/health"),
    "absolute target with a user": hosted(target=b"http://user@x/health"),
    "absolute target of another scheme": hosted(target=b"file:///etc/passwd"),
    "encoded slash": hosted(target=b"/%2fhealth"),
    "encoded slash in upper case": hosted(target=b"/a%2Fhealth"),
    "encoded climb": hosted(target=b"/..%2f..%2fetc%2fpasswd"),
    # Chunks.
    "chunk of letters": chunks(b"xyz\r\n"),
    "chunk of negative size": chunks(b"-1\r\n"),
    "chunk with a prefix": chunks(b"0x1\r\na\r\n"),
    "chunk with a plus": chunks(b"+1\r\na\r\n"),
    "chunk longer than its size": chunks(b"1\r\nab\r\n"),
    "chunk of overflowing size": chunks(b"fffffffffffffffff\r\n"),
    "length in a trailer": chunks(b"1\r\na\r\n0\r\nContent-Length: 3\r\n\r\n"),
    "chunk behind a space": chunks(b" 1\r\na\r\n"),
}
LIMITS = {
    "long header": (hosted(b"X: " + b"y" * (64 << 10)), 431),
    "endless header": (b"GET /health HTTP/1.1\r\nX: " + b"y" * (100 << 10), 431),
    "long header name": (hosted(b"y" * (64 << 10) + b": x"), 431),
    "many headers": (hosted(*(b"X-%d: y" % number for number in range(200))), 431),
    "many equal headers": (hosted(*[b"X: y"] * 128), 431),
    "many short headers": (hosted(*[b"a:"] * 20_000), 431),
    "long target": (hosted(target=b"/" + b"y" * (64 << 10)), 431),
    "long query": (hosted(target=b"/health?" + b"y" * (64 << 10)), 431),
    "empty lines without end": (b"\r\n" * (40 << 10), 431),
}
ANSWERED = {
    "websocket": (hosted(b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"), 200),
    "http/2 upgrade": (hosted(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c"), 200),
    "unknown expectation": (hosted(b"Expect: the-unexpected"), 200),
    "empty lines before a request": (b"\r\n\r\n" + hosted(), 200),
    "http/1.0 without a host": (head(version=b"HTTP/1.0"), 200),
    "trailers are not headers": (chunks(b"1\r\na\r\n0\r\nHost: y\r\nAuthorization: Bearer z\r\n\r\n"), 200),
    "chunk extensions": (chunks(b"1;a=b;c\r\na\r\n0\r\n\r\n"), 200),
    "long host": (head(b"Host: " + b"x" * 1000), 200),
    "host with an address": (head(b"Host: [::1]:8000"), 200),
    "absolute target of the host": (hosted(target=b"http://x/health"), 200),
}


HOSTILE_REQUESTS = [
    *(pytest.param(request, 400, id=name) for name, request in BAD_REQUESTS.items()),
    *(pytest.param(request, status, id=name) for name, (request, status) in {**LIMITS, **ANSWERED}.items()),
]


def statuses(port: int, request: bytes) -> list[int]:
    """Send bytes. Returns the statuses of all answers until the server closes, or after the first 200."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
        connection.sendall(request)
        received = b""
        try:
            while piece := connection.recv(1 << 16):
                received += piece
                if received.startswith(b"HTTP/1.1 200"):
                    break
        except ConnectionResetError:
            pass
    return [int(line.split(b" ")[1]) for line in received.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


def ask_health(port: int) -> int:
    (status,) = statuses(port, hosted())
    return status
