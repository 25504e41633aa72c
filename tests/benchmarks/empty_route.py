"""The empty route: what Flask and the HTTP server cost before anything is scored."""

from __future__ import annotations

from flask import Flask, Response, request

app = Flask(__name__)


@app.post("/predict")
def predict() -> Response:
    """Read the body, answer `{}`."""
    request.get_data(cache=False)
    return Response(b"{}", mimetype="application/json")
