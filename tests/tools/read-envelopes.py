"""Reads envelopes, a JSON array of texts, as a consumer in Python would: by the schema and by the CloudEvents SDK.

    python read-envelopes.py SCHEMA FILE

Writes what the SDK found, one JSON object a line: the attributes, the time in Unix seconds, the data. Bytes are
written as {"base64": ...}. Ends with 1 at the first one that the schema or the SDK refuses.
"""

import base64
import json
import sys

from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from jsonschema import Draft202012Validator, FormatChecker


def main(schema_file, file):
    with open(schema_file, encoding="utf-8") as f:
        schema = json.load(f)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema, format_checker=FormatChecker())
    with open(file, encoding="utf-8") as f:
        envelopes = json.load(f)
    for text in envelopes:
        errors = [f"{list(error.path)}: {error.message}" for error in validator.iter_errors(json.loads(text))]
        if errors:
            sys.exit(f"{'; '.join(errors)[:2000]}\n{text[:2000]}")
        message = HTTPMessage({"content-type": "application/cloudevents+json"}, text.encode())
        event = from_structured_event(message)
        data = event.get_data()
        print(json.dumps({
            "attributes": {k: v for k, v in event.get_attributes().items() if k != "time"},
            "time": event.get_time() and event.get_time().timestamp(),
            "data": {"base64": base64.b64encode(data).decode()} if isinstance(data, bytes) else data,
        }))


main(*sys.argv[1:])
