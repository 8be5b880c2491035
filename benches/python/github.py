"""GitHub's webhooks to SQS: one CloudEvent, one message."""

import hashlib
import json
from datetime import UTC, datetime

import gate

SECRET = gate.settings()["secret"]
HEADERS = (
    "user-agent",
    "x-github-event",
    "x-github-hook-id",
    "x-github-hook-installation-target-id",
    "x-github-hook-installation-target-type",
)


def handler(event, context):
    """Answers one call."""
    body = gate.body_of(event)
    headers = event["headers"]
    if not gate.is_genuine(SECRET, body, headers.get("x-hub-signature-256")):
        return {"statusCode": 401}
    data = json.loads(body)
    kind = headers["x-github-event"]
    action = data.get("action")
    repository = data.get("repository")
    delivery = headers["x-github-delivery"]
    envelope = {
        "specversion": "1.0",
        "id": delivery,
        "source": "/hookgate/github",
        "type": f"com.github.{kind}.{action}" if action else f"com.github.{kind}",
        "subject": repository and repository["full_name"],
        "datacontenttype": "application/json",
        "provider": "github",
        "account": repository and repository["owner"]["login"],
        "assurance": "signed",
        "idsource": "header",
        "receivedtime": datetime.now(UTC).isoformat(),
        "calldigest": hashlib.sha256(body).hexdigest(),
        "deliveryid": delivery,
        "partitionkey": repository and str(repository["id"]),
        "headers": gate.headers_of(event, HEADERS),
        "envelopeversion": "1.0",
        "data": data,
    }
    gate.send([envelope])
    return {"statusCode": 200}
