"""What we tell others over HTTP, signed so that they can know it is ours.

    POST /alerts  X-Chatbot-Signature: t=1795168281,v1=5257a869e7…

`v1` is the HMAC-SHA256, in hex, of `<t>.<body>` under the shared secret; `t` is the time of sending, in
seconds, so that an old message cannot be sent again later.
"""

import hashlib
import hmac
import http.client
import time
from urllib.parse import urlsplit

TIMEOUT_S = 10.0
HEADER = "X-Chatbot-Signature"


class WebhookError(Exception):
    """The message did not arrive; the text says why, without the address."""


def signature(secret: str, body: bytes, *, at: int) -> str:
    """Return the header's value for a message sent at `at`, in seconds since 1970."""
    digest = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def post(url: str, body: bytes, *, secret: str) -> None:
    """Send a JSON message. Raises WebhookError unless the answer is 2xx; follows no redirect."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    assert parts.hostname is not None
    connection = kind(parts.hostname, parts.port, timeout=TIMEOUT_S)
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "chatbot",
        HEADER: signature(secret, body, at=int(time.time())),
    }
    try:
        connection.request("POST", path, body, headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise WebhookError(f"The webhook could not be reached ({type(error).__name__}).") from error
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise WebhookError(f"The webhook answered with {status}.")
