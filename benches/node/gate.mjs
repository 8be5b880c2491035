// What both handlers need: settings, the queue, the parts of an envelope.

import { createHash } from 'node:crypto';
import { SendMessageBatchCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';

const sqs = new SQSClient({});
const QueueUrl = process.env.QUEUE_URL;
const MAX_ENTRIES = 10;

/** The settings document: HOOKGATE_CONFIG itself, or the parameter that it names. */
export async function settings() {
  const config = process.env.HOOKGATE_CONFIG;
  if (!config.startsWith('ssm:')) return JSON.parse(config);
  const { GetParameterCommand, SSMClient } = await import('@aws-sdk/client-ssm');
  const { Parameter } = await new SSMClient({}).send(
    new GetParameterCommand({ Name: config.slice('ssm:'.length), WithDecryption: true }),
  );
  return JSON.parse(Parameter.Value);
}

/** The exact bytes of the call's body. */
export const bodyOf = (event) => Buffer.from(event.body ?? '', event.isBase64Encoded ? 'base64' : 'utf8');

export const sha256 = (data) => createHash('sha256').update(data).digest('hex');

/** The allowed headers that the call has, as the text of a JSON object. */
export function headersOf(event, allowed) {
  const found = {};
  for (const name of allowed) if (name in event.headers) found[name] = event.headers[name];
  return JSON.stringify(found);
}

/** An event as SQS takes it. */
function message(envelope) {
  const MessageAttributes = {};
  for (const name of ['provider', 'type', 'source', 'assurance', 'datacontenttype']) {
    MessageAttributes[name] = { DataType: 'String', StringValue: envelope[name] };
  }
  return { MessageBody: JSON.stringify(envelope), MessageAttributes };
}

/** Resolves when SQS has confirmed every event. */
export async function send(envelopes) {
  if (envelopes.length === 1) {
    await sqs.send(new SendMessageCommand({ QueueUrl, ...message(envelopes[0]) }));
    return;
  }
  const batches = [];
  for (let start = 0; start < envelopes.length; start += MAX_ENTRIES) {
    const Entries = envelopes.slice(start, start + MAX_ENTRIES).map((envelope, i) => ({ Id: String(i), ...message(envelope) }));
    batches.push(sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries })));
  }
  for (const { Failed } of await Promise.all(batches)) {
    if (Failed?.length) throw new Error('not every event is stored');
  }
}
