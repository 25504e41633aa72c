"""A small issuer of tokens: an HTTP server on loopback with a discovery document, and keys that a test exchanges.

It signs people in as well: whoever comes to /authorize is `subject`, and is sent back with a code at once.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode

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
    subject: str = "ana"
    claims: dict[str, Any] = field(default_factory=dict)
    """Of id tokens, in place of the usual ones."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    exchanged: list[dict[str, str]] = field(default_factory=list)

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
            named = {"jwks_uri": "keys", "authorization_endpoint": "authorize", "token_endpoint": "token"}
            urls = {member: f"{self.url}/{path}" for member, path in named.items()}
            return {"issuer": self.url, **urls, **self.changed}
        return {"keys": [signer.public() for signer in self.signers]} if path == "/keys" else None

    def authorize(self, query: dict[str, str]) -> str:
        """Where somebody who has signed in is sent."""
        code = secrets.token_hex(8)
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state'], 'iss': self.url})}"

    def exchange(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """The answer to a code that was given out for this redirect and challenge; None for any other, and twice."""
        asked = self.codes.pop(form["code"], None)
        self.exchanged.append({**form, "authorization": authorization})
        digest = sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or (asked["redirect_uri"], asked["code_challenge"]) != (form["redirect_uri"], challenge):
            return None
        said = {"sub": self.subject, "aud": asked["client_id"], "nonce": asked["nonce"], **self.claims}
        return {"id_token": self.token(self.signers[0], **said), "access_token": "unused", "token_type": "Bearer"}


@contextmanager
def running_issuer(*signers: Signer) -> Iterator[Issuer]:
    """Serve until the block ends."""
    issuer = Issuer(signers=list(signers))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            path, _, query = self.path.partition("?")
            if path == "/authorize":
                self.send_response(302)
                self.send_header("Location", issuer.authorize(dict(parse_qsl(query))))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.answer(None if issuer.is_away else issuer.document(self.path), otherwise=500)

        def do_POST(self) -> None:
            form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self.answer(issuer.exchange(form, self.headers.get("Authorization", "")), otherwise=400)

        def answer(self, found: dict[str, Any] | None, *, otherwise: int) -> None:
            body = json.dumps(found).encode()
            self.send_response(otherwise if found is None else 200)
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
