"""What holds for every unit test."""

from __future__ import annotations

import pytest
import structlog


@pytest.fixture(scope="session", autouse=True)
def _plain_tracebacks() -> None:
    """A crash is logged as Python prints it: with rich installed, structlog draws a page, which takes 0.3 s each."""
    structlog.configure(processors=[structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)])
