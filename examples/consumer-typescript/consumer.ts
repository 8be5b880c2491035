// Handles the events that Hookgate queues, as a Lambda function (`consumer.handler`) or as a loop on any machine:
//
//     npm install
//     QUEUE_URL=https://sqs.… HANDLED_TABLE=handled npm start
//
// `handle` is yours, the rest can stay as it is; docs/consuming.md says why it is so. For an emulator set
// AWS_ENDPOINT_URL, with an IP address in it.

import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { fileURLToPath } from "node:url";
import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  DynamoDBClient,
  PutItemCommand,
} from "@aws-sdk/client-dynamodb";
import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { DeleteMessageBatchCommand, ReceiveMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import type { SQSBatchResponse, SQSEvent } from "aws-lambda";
import { type LosslessNumber, parse, stringify } from "lossless-json";

/** The attributes that are used here; there are more, and there will be further ones. */
interface Event {
  specversion: string;
  envelopeversion: string;
  id: string;
  idsource: "signed" | "header" | "digest";
  source: string;
  type: string;
  datacontenttype: string;
  provider: string;
  assurance: string;
  calldigest: string;
  data?: unknown;
  data_base64?: string;
  dataref?: string;
  rawbody?: string;
  rawref?: string;
  rawheaders?: string;
}

interface Message {
  id: string;
  attributes: { MessageGroupId?: string | undefined; SequenceNumber?: string | undefined };
  body: string;
}

/** What an event has to be worth. With `token` and `basic` the body could be anything. */
const ACCEPTED = ["signed-fresh", "signed"];
/** In milliseconds. Longer than an event takes, shorter than the queue's visibility timeout. */
const LEASE = 20_000;
/** In seconds. Longer than providers send again and queues keep messages. */
const REMEMBERED = 30 * 24 * 60 * 60;

const sqs = new SQSClient();
const s3 = new S3Client();
const dynamodb = new DynamoDBClient();
/** Partition key `id`, a string; TTL attribute `expires`. */
const TableName = needed(process.env.HANDLED_TABLE, "HANDLED_TABLE");

// region: numbers
/** `JSON.parse` would round what is beyond 2^53. Here a number is an object that keeps its text. */
function json(data: string | Uint8Array): unknown {
  return parse(typeof data === "string" ? data : new TextDecoder("utf-8", { fatal: true }).decode(data));
}

/**
 * What you want done. `data` is JSON, or bytes, or undefined. Whatever is called that can tell duplicates by itself gets
 * `key`: an event whose handling was cut off comes again.
 */
async function handle(event: Event, data: unknown, key: string): Promise<void> {
  if (event.type === "com.github.push") {
    const { repository } = data as { repository: { id: LosslessNumber } };
    data = BigInt(repository.id.toString());
  } else if (data instanceof Uint8Array) {
    data = Buffer.from(data).toString("base64");
  }
  console.log(stringify({ handled: event.id, type: event.type, key, data: data ?? null }));
}
// endregion

// region: identity
/** What tells an event from all others, in a form that fits every key. */
function identity(event: Event): string {
  const digest = event.idsource === "header" ? event.calldigest : "";
  return sha256(`${event.source}\n${event.id}\n${digest}`);
}
// endregion

function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

// region: data
async function dataOf(event: Event): Promise<unknown> {
  const secret = process.env.GITHUB_SECRET;
  if (secret && event.provider === "github") {
    return json(await verified(event, secret));
  }
  if (event.dataref !== undefined) {
    const data = await fetchObject(event.dataref);
    const isJson = event.datacontenttype === "application/json" && !event.type.endsWith(".unreadable");
    return isJson ? json(data) : data;
  }
  return event.data_base64 === undefined ? event.data : Buffer.from(event.data_base64, "base64");
}

/** The object that `s3://bucket/key` names. The key ends with the SHA-256 of its bytes. */
async function fetchObject(reference: string): Promise<Uint8Array> {
  const [, Bucket, Key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(reference) ?? [];
  const object = await s3.send(new GetObjectCommand({ Bucket, Key }));
  const data = await needed(object.Body, "the object").transformToByteArray();
  if (sha256(data) !== needed(Key, "the key").split("/").at(-1)) {
    throw new Error("the object is not the one that was put");
  }
  return data;
}
// endregion

// region: raw
/** The bytes that GitHub signed (content type application/json), checked once more. An event without them is refused. */
async function verified(event: Event, secret: string): Promise<Uint8Array> {
  const raw =
    event.rawref === undefined
      ? Buffer.from(needed(event.rawbody, "rawbody"), "base64")
      : await fetchObject(event.rawref);
  const headers = json(needed(event.rawheaders, "rawheaders")) as Record<string, string>;
  const sent = Buffer.from(headers["x-hub-signature-256"] ?? "");
  const expected = Buffer.from("sha256=" + createHmac("sha256", secret).update(raw).digest("hex"));
  if (sent.length !== expected.length || !timingSafeEqual(sent, expected)) {
    throw new Error("the signature is not the secret's");
  }
  return raw;
}
// endregion

function needed<T>(value: T | undefined, name: string): T {
  if (value === undefined) {
    throw new Error(`${name} is missing`);
  }
  return value;
}

// region: once
/** Does the work unless it has been done. An item with a lease is being worked on, one without has been done. */
async function once(key: string, work: () => Promise<void>): Promise<void> {
  const now = Date.now();
  const lease = { N: String(now + LEASE) };
  const done = { id: { S: key }, expires: { N: String(Math.floor(now / 1000) + REMEMBERED) } };
  try {
    await dynamodb.send(
      new PutItemCommand({
        TableName,
        Item: { ...done, lease },
        ConditionExpression: "attribute_not_exists(id) OR lease < :now",
        ExpressionAttributeValues: { ":now": { N: String(now) } },
        ReturnValuesOnConditionCheckFailure: "ALL_OLD",
      }),
    );
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) {
      throw error;
    }
    if (error.Item?.lease !== undefined) {
      throw new Error("somebody else is at it");
    }
    return;
  }
  try {
    await work();
  } catch (error) {
    await giveBack(key, lease);
    throw error;
  }
  await dynamodb.send(new PutItemCommand({ TableName, Item: done }));
}

/** So that the next attempt need not wait for the lease to end. Another's lease is left alone. */
async function giveBack(key: string, lease: { N: string }): Promise<void> {
  const request = new DeleteItemCommand({
    TableName,
    Key: { id: { S: key } },
    ConditionExpression: "lease = :lease",
    ExpressionAttributeValues: { ":lease": lease },
  });
  await dynamodb.send(request).catch((error: unknown) => console.error(`not given back: ${error}`));
}
// endregion

// region: message
/** Whatever is thrown here sends the message back, and in the end to the dead-letter queue. */
async function handleMessage(body: string): Promise<void> {
  const event = json(body) as Event;
  if (event.specversion !== "1.0" || !event.envelopeversion.startsWith("1.")) {
    throw new Error("an envelope of another version");
  }
  if (!ACCEPTED.includes(event.assurance)) {
    throw new Error("not worth enough");
  }
  const data = await dataOf(event);
  const key = identity(event);
  await once(key, () => handle(event, data, key));
}
// endregion

// region: batch
/** The ids of the messages that have to come back. */
async function handleBatch(messages: Message[]): Promise<string[]> {
  const failed: string[] = [];
  const stopped = new Set<string>();
  for (const { id, attributes, body } of messages) {
    // A standard queue may have groups too, for fairness; only a FIFO queue numbers its messages.
    const group = attributes.SequenceNumber === undefined ? undefined : attributes.MessageGroupId;
    if (group !== undefined && stopped.has(group)) {
      failed.push(id);
      continue;
    }
    try {
      await handleMessage(body);
    } catch (error) {
      console.error(`message ${id}: ${error}`);
      failed.push(id);
      if (group !== undefined) {
        stopped.add(group);
      }
    }
  }
  return failed;
}
// endregion

// region: lambda
export async function handler(event: SQSEvent): Promise<SQSBatchResponse> {
  const messages = event.Records.map(({ messageId, attributes, body }) => ({ id: messageId, attributes, body }));
  const failed = await handleBatch(messages);
  return { batchItemFailures: failed.map((itemIdentifier) => ({ itemIdentifier })) };
}
// endregion

// region: loop
async function loop(QueueUrl: string): Promise<never> {
  for (;;) {
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({
        QueueUrl,
        MaxNumberOfMessages: 10,
        WaitTimeSeconds: 20,
        MessageSystemAttributeNames: ["MessageGroupId", "SequenceNumber"],
      }),
    );
    const failed = await handleBatch(
      Messages.map((m) => ({ id: m.MessageId ?? "", attributes: m.Attributes ?? {}, body: m.Body ?? "" })),
    );
    const Entries = Messages.filter((m) => !failed.includes(m.MessageId ?? "")).map((m, i) => ({
      Id: String(i),
      ReceiptHandle: m.ReceiptHandle,
    }));
    // What is not deleted comes back when the visibility timeout ends: what failed, and what this call missed.
    if (Entries.length > 0) {
      await sqs.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
    }
  }
}
// endregion

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await loop(needed(process.env.QUEUE_URL, "QUEUE_URL"));
}
