"""A Facebook Page's webhooks to SQS: one CloudEvent for each change, in batches."""

import hashlib
import json
from datetime import UTC, datetime

import gate

SECRET = gate.settings()["app_secret"]


def envelope(call, entry, change, common):
    """The CloudEvent of one change."""
    data = {**call, "entry": [{**entry, "changes": [change]}]}
    field, value = change["field"], change["value"]
    kind = ["com.facebook", call["object"], field, value.get("item"), value.get("verb")]
    post = value.get("post_id")
    time = datetime.fromtimestamp(value.get("created_time", entry["time"]), UTC)
    return {
        "specversion": "1.0",
        "id": hashlib.sha256(json.dumps(data).encode()).hexdigest(),
        "source": "/hookgate/facebook",
        "type": ".".join(part for part in kind if part),
        "subject": value.get("comment_id", post),
        "time": time.isoformat(),
        "datacontenttype": "application/json",
        "provider": "facebook",
        "account": entry["id"],
        "assurance": "signed",
        "idsource": "digest",
        "partitionkey": f"{entry['id']}:{post}" if post else entry["id"],
        "envelopeversion": "1.0",
        **common,
        "data": data,
    }


def handler(event, context):
    """Answers one call."""
    body = gate.body_of(event)
    if not gate.is_genuine(SECRET, body, event["headers"].get("x-hub-signature-256")):
        return {"statusCode": 401}
    call = json.loads(body)
    common = {
        "receivedtime": datetime.now(UTC).isoformat(),
        "calldigest": hashlib.sha256(body).hexdigest(),
        "headers": gate.headers_of(event, ("user-agent",)),
    }
    gate.send([envelope(call, entry, change, common) for entry in call["entry"] for change in entry["changes"]])
    return {"statusCode": 200}
