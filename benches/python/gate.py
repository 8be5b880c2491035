"""What both handlers need: settings, the queue, the parts of an envelope."""

import base64
import hashlib
import hmac
import json
import os

import boto3

sqs = boto3.client("sqs")
QUEUE_URL = os.environ["QUEUE_URL"]
MAX_ENTRIES = 10


def settings():
    """The settings document: HOOKGATE_CONFIG itself, or the parameter that it names."""
    config = os.environ["HOOKGATE_CONFIG"]
    if config.startswith("ssm:"):
        answer = boto3.client("ssm").get_parameter(Name=config.removeprefix("ssm:"), WithDecryption=True)
        config = answer["Parameter"]["Value"]
    return json.loads(config)


def body_of(event):
    """The exact bytes of the call's body."""
    body = event.get("body") or ""
    return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()


def is_genuine(secret, body, signature):
    """Whether the signature is `sha256=` and the HMAC of the body."""
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, signature or "")


def headers_of(event, allowed):
    """The allowed headers that the call has, as the text of a JSON object."""
    headers = event["headers"]
    return json.dumps({name: headers[name] for name in allowed if name in headers}, separators=(",", ":"))


def message(envelope):
    """An event as SQS takes it."""
    names = ("provider", "type", "source", "assurance", "datacontenttype")
    return {
        "MessageBody": json.dumps(envelope, ensure_ascii=False, separators=(",", ":")),
        "MessageAttributes": {name: {"DataType": "String", "StringValue": envelope[name]} for name in names},
    }


def send(envelopes):
    """Returns when SQS has confirmed every event."""
    if len(envelopes) == 1:
        sqs.send_message(QueueUrl=QUEUE_URL, **message(envelopes[0]))
        return
    for start in range(0, len(envelopes), MAX_ENTRIES):
        batch = envelopes[start : start + MAX_ENTRIES]
        entries = [{"Id": str(i), **message(envelope)} for i, envelope in enumerate(batch)]
        if sqs.send_message_batch(QueueUrl=QUEUE_URL, Entries=entries).get("Failed"):
            raise RuntimeError("not every event is stored")
