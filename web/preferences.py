"""The `Prefer` header of RFC 7240: `respond-async` and `wait=N`; all else in it is ignored, as it asks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# token [ BWS "=" BWS word ] *( OWS ";" [ OWS parameter ] ), as RFC 7240 section 2 writes it.
_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_WORD: Final = rf'(?:{_NAME}|"(?:[^"\\]|\\.)*")'
_PREFERENCE: Final = re.compile(rf"\s*({_NAME})\s*(?:=\s*({_WORD})?\s*)?(?:;.*)?", re.DOTALL)
_SPLIT: Final = re.compile(r'((?:[^,"]|"(?:[^"\\]|\\.)*")*)(?:,|$)')


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the client prefers. `wait_s`: how long it would wait for the answer; None when it did not say."""

    respond_async: bool = False
    wait_s: int | None = None

    @property
    def applied(self) -> str:
        """The value of Preference-Applied; empty when nothing was preferred."""
        parts = ["respond-async"] if self.respond_async else []
        if self.wait_s is not None:
            parts.append(f"wait={self.wait_s}")
        return ", ".join(parts)


NO_PREFERENCES: Final = Preferences()


def parse_prefer(header: str, *, max_wait_s: int) -> Preferences:
    """Read a Prefer header (several joined by commas are one); `wait` is capped at `max_wait_s`.

    The first of a repeated preference counts; a malformed or unknown one is ignored.

    >>> parse_prefer("respond-async, wait=10; strict, wait=2", max_wait_s=5)
    Preferences(respond_async=True, wait_s=5)
    """
    seen: dict[str, str] = {}
    for piece in _SPLIT.findall(header[:2000]):
        match = _PREFERENCE.fullmatch(piece)
        if match:
            seen.setdefault(match[1].lower(), (match[2] or "").strip('"'))
    return Preferences(respond_async=seen.get("respond-async") == "", wait_s=_seconds(seen.get("wait", ""), max_wait_s))


def _seconds(text: str, max_wait_s: int) -> int | None:
    if not (text.isascii() and text.isdigit()):
        return None
    return min(int(text[:9]), max_wait_s)
