"""The in-process shape: FastAPI with the pipeline in the request handler, as the seed does it.

Served by `uvicorn --workers 2`. The handler is `async def`, so one request at a time is scored per process.
"""

from __future__ import annotations

from fastapi import FastAPI
from pydantic import BaseModel

from tests.benchmarks.reference_model import load_model, score

app = FastAPI()
model = load_model()


class Payment(BaseModel):
    """The seed's six fields."""

    amount: float
    hour: int
    day_of_week: int
    merchant_category: str
    previous_amount: float
    time_since_last: float


@app.post("/predict")
async def predict(payment: Payment) -> dict[str, object]:
    """Score one payment on the event loop."""
    return score(model, payment.model_dump())
