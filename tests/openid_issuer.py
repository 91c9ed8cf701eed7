"""A small OpenID Connect issuer on loopback: discovery, keys and signed tokens."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "modelyard"
_KEYS = {"RS256": generate_rsa_key(65537, 2048), "ES256": generate_ec_key(SECP256R1())}
_ALGORITHMS = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm}


class Issuer:
    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.requests: list[str] = []
        self.discovery: dict[str, Any] = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        self.keys: list[dict[str, Any]] = []
        self.redirect: str | None = None
        """Answer every request with a redirect to the URL."""
        self._private: dict[str, tuple[str, Any]] = {}
        self.add_key("first", "RS256")

    def add_key(self, key_id: str, algorithm: str, private: Any = None) -> None:
        """Publish a key; tests share the key material, because an RSA key takes a while to make."""
        private = private or _KEYS[algorithm]
        self._private[key_id] = algorithm, private
        public = _ALGORITHMS[algorithm].to_jwk(private.public_key(), as_dict=True)
        self.keys.append({**public, "kid": key_id, "use": "sig", "alg": algorithm})

    def withdraw_key(self, key_id: str) -> None:
        self.keys = [key for key in self.keys if key["kid"] != key_id]

    def public_pem(self, key_id: str = "first") -> bytes:
        public = self._private[key_id][1].public_key()
        return bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def token(self, subject: str | None = "ada", key_id: str = "first", signer: Any = None, **claims: Any) -> str:
        """A token that is valid for an hour. A claim of None is left out."""
        algorithm, private = self._private[key_id]
        now = int(time.time())
        wanted = {"iss": self.url, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 3600, **claims}
        present = {name: value for name, value in wanted.items() if value is not None}
        return jwt.encode(present, signer or private, algorithm=algorithm, headers={"kid": key_id})


@contextmanager
def openid_issuer() -> Iterator[Issuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.requests.append(self.path)
            documents = {"/.well-known/openid-configuration": issuer.discovery, "/keys": {"keys": issuer.keys}}
            if issuer.redirect is not None:
                self.send_response(302)
                self.send_header("Location", issuer.redirect)
            elif self.path in documents:
                self.send_response(200)
            else:
                self.send_response(404)
            self.end_headers()
            self.wfile.write(json.dumps(documents.get(self.path, {})).encode())

        def log_message(self, *_: Any) -> None:
            """Tests read `Issuer.requests`."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer = Issuer(server)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
