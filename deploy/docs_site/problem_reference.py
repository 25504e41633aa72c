"""docs/problems.md, written from the error tree: `python -m deploy.docs_site.problem_reference > docs/problems.md`."""

from __future__ import annotations

import sys
from typing import Final

from web.problem_catalogue import ProblemType, catalogue

HEAD: Final = """# Problem codes

Every error is `application/problem+json` (RFC 9457). Match on `code`: it stays, while titles and sentences may become
better. A 429 and a 503 have `Retry-After`; the same request can be sent again after that.
`/problems/{code}` of a running Tollgate says the same as this page, which is generated:
`python -m deploy.docs_site.problem_reference > docs/problems.md`. How clients should read it: [api.md](api.md#errors).
"""


def reference() -> str:
    """The whole page: one section a code, by status."""
    return HEAD + "".join(_section(problem) for problem in catalogue())


def _section(problem: ProblemType) -> str:
    return f"\n## {problem.code}\n\nStatus {problem.status}, {problem.title}.\n\n{_paragraphs(problem.description)}\n"


def _paragraphs(docstring: str) -> str:
    """A docstring's sentences without its indentation."""
    return "\n".join(line.strip() for line in docstring.replace("<", "&lt;").splitlines())


if __name__ == "__main__":
    sys.stdout.write(reference())
