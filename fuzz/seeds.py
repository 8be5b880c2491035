#!/usr/bin/env python3
"""Writes a seed corpus for every target, out of the providers' samples and vectors, into fuzz/seeds/."""

import base64
import hashlib
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The registry keeps its rows by name.
FUNCTIONS = sorted(path for path in (HERE.parent / "functions").iterdir() if (path / "src").is_dir())
LARGEST = 16_384


def seed(target: str, data: bytes) -> None:
    if len(data) <= LARGEST:
        folder = HERE / "seeds" / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def body(data: bytes) -> None:
    seed("form", data)
    seed("json", b"/data/object/id\n" + data)
    if data.lstrip().startswith(b"<"):
        seed("xml", b"\0" + data)
    if data.startswith(b"--"):
        seed("multipart", b"\0" + data)


def event(method: str, path: str, query: str, headers: list[tuple[str, str]], data: bytes) -> None:
    call = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {name.lower(): value for name, value in headers},
        "requestContext": {"domainName": "x.lambda-url.us-east-1.on.aws", "http": {"method": method}},
        "body": base64.b64encode(data).decode(),
        "isBase64Encoded": True,
    }
    seed("event", b"\0" + json.dumps(call).encode())


def envelope(row: int, headers: list[tuple[str, str]], data: bytes) -> None:
    head = "\n".join(f"{name}: {value}" for name, value in headers).encode()
    generic = FUNCTIONS[row].name == "generic"
    for variant in range(12) if generic else [0]:
        seed("envelope", bytes([row, variant | 0x40]) + head + b"\n\n" + data)


for row, function in enumerate(FUNCTIONS):
    for sample in sorted((function / "samples").glob("*.http")):
        head, _, data = sample.read_bytes().partition(b"\n\n")
        lines = head.decode().splitlines()
        method, _, target = lines[0].partition(" ")
        path, _, query = target.partition("?")
        headers = [tuple(line.split(": ", 1)) for line in lines[1:]]
        data = data.removesuffix(b"\n")
        body(data)
        event(method, path, query, headers, data)
        envelope(row, headers, data)
    vectors = function / "vectors.jsonl"
    for line in vectors.read_text().splitlines() if vectors.exists() else []:
        vector = json.loads(line)
        headers = [tuple(header) for header in vector["headers"]]
        data = base64.b64decode(vector["body_b64"])
        body(data)
        event(vector["method"], vector["path"], vector["query"], headers, data)
        envelope(row, headers, data)

# What stands in headers of a call that is neither JSON nor a form nor XML.
envelope(
    next(row for row, function in enumerate(FUNCTIONS) if function.name == "generic"),
    [("Content-Type", "text/plain"), ("X-Kind", "order/paid"), ("X-Order", "1"), ("X-Place", "/a/0/id")],
    b"plain",
)
# What looks like wrapped JSON and is not.
for form in [b"payload=%7B%7D&payload=%7B%7D", b"payload=%7B%7D&payloads=1", b"payload=x", b"payloads=1", b"%70ayload=1"]:
    body(form)
# Parts that are odd, and pieces that a form is built of.
for part in [
    b'; name="a"; filename*=UTF-8\'\'%C3%A1\r\n\r\n1',
    b'; name="a\\"\\\\"\r\nContent-Transfer-Encoding: binary\r\n\r\n\xff',
    b"; name=a\r\n\r\n--b-\r\n--b--x",
]:
    seed("multipart", b"\0--b\r\nContent-Disposition: form-data" + part + b"\r\n--b--\r\n")
for pieces in [b"\x01abc\x01\x02f\x01hello", bytes(range(64))]:
    seed("multipart", b"\x05" + pieces)
# Pointers into arrays.
seed("json", b'/1/b~1c\n[0,{"b/c":1e3,"~":"\\u00e9"},[1,[2]]]')

# Steps of the target `xml` that build documents: elements, text, attributes, and a deep one by repetition.
for steps in [b"\x00\x2d\x04\x02\x08\x0c\x02", b"\x06\x07\x03\x03\x24", b"\x00\xff\x08", b"\x00\x04\x02\x03\xff\x05"]:
    seed("xml", b"\x03" + steps)
