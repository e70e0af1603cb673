"""Secrets that AWS KMS decrypts: `${kms:CIPHERTEXT}`, the base64 text that `aws kms encrypt` prints.

Region, credentials and endpoint are boto3's own (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL_KMS …).
"""

import base64
import binascii
import functools
import logging
import os

# At DEBUG botocore logs the answers, and the plaintext in them.
for _name in ("botocore", "boto3"):
    logging.getLogger(_name).setLevel(logging.WARNING)

CONNECT_S, ANSWER_S, TRIES = 5, 10, 2  # the start waits for it


class NotDecryptedError(ValueError):
    """Why there is no plaintext, in a sentence."""


@functools.cache
def decrypt(ciphertext: str) -> str:
    """Return the plaintext, asked for once in a process and kept in its memory. Raises NotDecryptedError."""
    try:
        import boto3  # an extra, and 0.3 s to import: only where it is asked for
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        message = "`${kms:…}` needs boto3; install it with the extra `kms` (pip install boto3)."
        raise NotDecryptedError(message) from error
    try:
        blob = base64.b64decode(ciphertext, validate=True)
    except binascii.Error as error:
        raise NotDecryptedError("`${kms:…}` does not hold base64.") from error
    limits = Config(connect_timeout=CONNECT_S, read_timeout=ANSWER_S, retries={"total_max_attempts": TRIES})
    try:
        session = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
        client = session.client("kms", config=limits)
        return str(client.decrypt(CiphertextBlob=blob)["Plaintext"].decode("utf-8")).strip()
    except ClientError as error:
        about = error.response.get("Error", {})
        reason = f"{about.get('Code', 'it failed')}. {about.get('Message', '')}".strip()
    except BotoCoreError as error:
        reason = str(error)
    except UnicodeDecodeError:
        reason = "the plaintext is no text."
    raise NotDecryptedError(f"AWS KMS did not decrypt a `${{kms:…}}`: {reason}")
