"""Record one answer of a running server into ``transcripts/``; not a test.

    python tests/dialects/record_transcript.py NAME 'llmock 0.2.2, mode plain' openai-chat http://127.0.0.1:8000/v1 \\
        chat '{"prompt": "Hello", "model": "gpt-4o"}' [KEY]
"""

from __future__ import annotations

import http.client
import json
import sys
from datetime import UTC, datetime
from urllib.parse import urlsplit

from transcript_files import FOLDER, spoken, write

from conformance.dialects.request import build_request
from conformance.target import Target


def record(
    name: str, server: str, speaks: str, base_url: str, operation: str, params: str, key: str = ""
) -> None:
    """Send one operation and keep what comes back, complete or not. The key is sent, and not kept."""
    dialect = spoken(speaks)
    target = Target(base_url, dialect.name, keys={"main": key} if key else {})
    sent = build_request(dialect, operation, json.loads(params), target, "main")
    url = urlsplit(sent.url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
    path = sent.url.removeprefix(f"{url.scheme}://{url.netloc}")
    connection.request(sent.method, path, sent.body or None, dict(sent.headers))
    answer = connection.getresponse()
    comments = {"recorded from": f"{server}, {datetime.now(UTC):%Y-%m-%d}", "speaks": speaks}
    try:
        body = answer.read()
    except http.client.IncompleteRead as partial:
        body, comments["failure"] = partial.partial, "reset"
    except ConnectionResetError:
        body, comments["failure"] = b"", "reset"
    head = [f"HTTP/1.1 {answer.status} {answer.reason}", *(f"{k}: {v}" for k, v in answer.getheaders())]
    write(FOLDER / f"{name}.http", comments, head, body)


if __name__ == "__main__":
    record(*sys.argv[1:])
