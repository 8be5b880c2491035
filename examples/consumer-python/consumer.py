"""Handles the events that Hookgate queues, as a Lambda function (`consumer.handler`) or as a loop on any machine:

    pip install -r requirements.txt
    QUEUE_URL=https://sqs.… HANDLED_TABLE=handled python consumer.py

`handle` is yours, the rest can stay as it is; docs/consuming.md says why it is so. For an emulator set AWS_ENDPOINT_URL,
with an IP address in it.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from decimal import Decimal

import boto3
from botocore.exceptions import ClientError

# What an event has to be worth. With `token` and `basic` the body could be anything.
ACCEPTED = {"signed-fresh", "signed"}
# In seconds. Longer than an event takes, shorter than the queue's visibility timeout.
LEASE = 20
# In seconds. Longer than providers send again and queues keep messages.
REMEMBERED = 30 * 24 * 60 * 60

sqs = boto3.client("sqs")
s3 = boto3.client("s3")
# Partition key `id`, a string; TTL attribute `expires`.
handled = boto3.resource("dynamodb").Table(os.environ["HANDLED_TABLE"])


# region: numbers
def parse(text):
    """Integers of any length are exact in Python; `float` would round the others."""
    return json.loads(text, parse_float=Decimal)


def handle(event, data, key):
    """What you want done. `data` is JSON as Python has it, or bytes, or None. Whatever is called that can tell duplicates
    by itself gets `key`: an event whose handling was cut off comes again."""
    if event["type"] == "com.github.push":
        data = data["repository"]["id"]
    elif isinstance(data, bytes):
        data = base64.b64encode(data).decode()
    line = {"handled": event["id"], "type": event["type"], "key": key, "data": data}
    print(json.dumps(line, default=str), flush=True)
# endregion


# region: identity
def identity(event):
    """What tells an event from all others, in a form that fits every key."""
    digest = event["calldigest"] if event["idsource"] == "header" else ""
    return hashlib.sha256(f"{event['source']}\n{event['id']}\n{digest}".encode()).hexdigest()
# endregion


# region: data
def data_of(event):
    secret = os.environ.get("GITHUB_SECRET")
    if secret and event["provider"] == "github":
        return parse(verified(event, secret))
    if "dataref" in event:
        data = fetch(event["dataref"])
        is_json = event["datacontenttype"] == "application/json" and not event["type"].endswith(".unreadable")
        return parse(data) if is_json else data
    if "data_base64" in event:
        return base64.b64decode(event["data_base64"], validate=True)
    return event.get("data")


def fetch(reference):
    """The object that `s3://bucket/key` names. The key ends with the SHA-256 of its bytes."""
    bucket, key = reference.removeprefix("s3://").split("/", 1)
    data = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    if hashlib.sha256(data).hexdigest() != key.rsplit("/", 1)[-1]:
        raise ValueError("the object is not the one that was put")
    return data
# endregion


# region: raw
def verified(event, secret):
    """The bytes that GitHub signed (content type application/json), checked once more. An event without them is refused."""
    raw = fetch(event["rawref"]) if "rawref" in event else base64.b64decode(event["rawbody"], validate=True)
    expected = "sha256=" + hmac.new(secret.encode(), raw, "sha256").hexdigest()
    if not hmac.compare_digest(expected.encode(), json.loads(event["rawheaders"])["x-hub-signature-256"].encode()):
        raise ValueError("the signature is not the secret's")
    return raw
# endregion


# region: once
def once(key, work):
    """Does the work unless it has been done. An item with a lease is being worked on, one without has been done."""
    now = time.time()
    lease, expires = int((now + LEASE) * 1000), int(now + REMEMBERED)
    try:
        handled.put_item(
            Item={"id": key, "lease": lease, "expires": expires},
            ConditionExpression="attribute_not_exists(id) OR lease < :now",
            ExpressionAttributeValues={":now": int(now * 1000)},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except handled.meta.client.exceptions.ConditionalCheckFailedException as error:
        if "lease" in error.response["Item"]:
            raise RuntimeError("somebody else is at it") from None
        return
    try:
        work()
    except Exception:
        give_back(key, lease)
        raise
    handled.put_item(Item={"id": key, "expires": expires})


def give_back(key, lease):
    """So that the next attempt need not wait for the lease to end. Another's lease is left alone."""
    try:
        handled.delete_item(
            Key={"id": key}, ConditionExpression="lease = :lease", ExpressionAttributeValues={":lease": lease}
        )
    except ClientError as error:
        print(f"not given back: {error}", file=sys.stderr)
# endregion


# region: message
def handle_message(body):
    """Whatever is raised here sends the message back, and in the end to the dead-letter queue."""
    event = parse(body)
    if event["specversion"] != "1.0" or not event["envelopeversion"].startswith("1."):
        raise ValueError("an envelope of another version")
    if event["assurance"] not in ACCEPTED:
        raise ValueError("not worth enough")
    data, key = data_of(event), identity(event)
    once(key, lambda: handle(event, data, key))
# endregion


# region: batch
def handle_batch(messages):
    """The ids of the messages that have to come back, of messages as (id, system attributes, body)."""
    failed, stopped = [], set()
    for message_id, attributes, body in messages:
        # A standard queue may have groups too, for fairness; only a FIFO queue numbers its messages.
        group = attributes.get("MessageGroupId") if "SequenceNumber" in attributes else None
        if group in stopped:
            failed.append(message_id)
            continue
        try:
            handle_message(body)
        except Exception as error:
            print(f"message {message_id}: {type(error).__name__}: {error}", file=sys.stderr)
            failed.append(message_id)
            if group is not None:
                stopped.add(group)
    return failed
# endregion


# region: lambda
def handler(event, _context):
    failed = handle_batch((r["messageId"], r["attributes"], r["body"]) for r in event["Records"])
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
# endregion


# region: loop
def loop(queue_url):
    while True:
        messages = sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=20,
            MessageSystemAttributeNames=["MessageGroupId", "SequenceNumber"],
        ).get("Messages", [])
        failed = handle_batch((m["MessageId"], m.get("Attributes", {}), m["Body"]) for m in messages)
        entries = [
            {"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]}
            for i, m in enumerate(messages)
            if m["MessageId"] not in failed
        ]
        # What is not deleted comes back when the visibility timeout ends: what failed, and what this call missed.
        if entries:
            sqs.delete_message_batch(QueueUrl=queue_url, Entries=entries)
# endregion


if __name__ == "__main__":
    loop(os.environ["QUEUE_URL"])
