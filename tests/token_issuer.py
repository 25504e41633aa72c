"""A small issuer of tokens: an HTTP server on loopback with a discovery document, and keys that a test exchanges."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

AUDIENCE = "tollgate"


@dataclass
class Signer:
    """A private key with its id. `algorithm`: what it signs with."""

    key_id: str
    algorithm: str
    private: Any

    def public(self) -> dict[str, Any]:
        """The public half as a JSON Web Key."""
        jwk = get_default_algorithms()[self.algorithm].to_jwk(self.private.public_key(), as_dict=True)
        return {**jwk, "kid": self.key_id, "use": "sig"}


def make_signer(key_id: str, algorithm: str) -> Signer:
    """A new key of the kind that the algorithm takes."""
    if algorithm.startswith(("RS", "PS")):
        return Signer(key_id, algorithm, rsa.generate_private_key(public_exponent=65537, key_size=2048))
    if algorithm.startswith("ES"):
        return Signer(key_id, algorithm, ec.generate_private_key(ec.SECP256R1()))
    return Signer(key_id, algorithm, ed25519.Ed25519PrivateKey.generate())


@dataclass
class Issuer:
    """`asked`: paths that were asked for. `is_away`: it answers 500. `changed`: members of the discovery document."""

    port: int = 0
    signers: list[Signer] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    is_away: bool = False
    changed: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def token(self, signer: Signer, *, headers: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A token that is good in every way, but for what is given; None leaves a claim out."""
        now = int(time.time())
        usual = {"iss": self.url, "aud": AUDIENCE, "sub": "shop", "exp": now + 300, "scope": "tollgate:score openid"}
        given = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        named = {"kid": signer.key_id, **(headers or {})}
        return jwt.encode(given, signer.private, signer.algorithm, {k: v for k, v in named.items() if v is not None})

    def document(self, path: str) -> dict[str, Any] | None:
        """What is served at a path."""
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.changed}
        return {"keys": [signer.public() for signer in self.signers]} if path == "/keys" else None


@contextmanager
def running_issuer(*signers: Signer) -> Iterator[Issuer]:
    """Serve until the block ends."""
    issuer = Issuer(signers=list(signers))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            found = None if issuer.is_away else issuer.document(self.path)
            body = json.dumps(found).encode()
            self.send_response(500 if found is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            """Nothing: the test's output is not the place."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
