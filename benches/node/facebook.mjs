// A Facebook Page's webhooks to SQS: one CloudEvent for each change, in batches.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { bodyOf, headersOf, send, settings, sha256 } from './gate.mjs';

const { app_secret: secret } = await settings();

function isGenuine(body, signature) {
  const expected = Buffer.from(`sha256=${createHmac('sha256', secret).update(body).digest('hex')}`);
  const offered = Buffer.from(signature ?? '');
  return offered.length === expected.length && timingSafeEqual(offered, expected);
}

export async function handler(event) {
  const body = bodyOf(event);
  if (!isGenuine(body, event.headers['x-hub-signature-256'])) return { statusCode: 401 };
  const call = JSON.parse(body);
  const calldigest = sha256(body);
  const receivedtime = new Date().toISOString();
  const headers = headersOf(event, ['user-agent']);
  const envelopes = call.entry.flatMap((entry) =>
    entry.changes.map((change) => {
      const data = { ...call, entry: [{ ...entry, changes: [change] }] };
      const { field, value } = change;
      return {
        specversion: '1.0',
        id: sha256(JSON.stringify(data)),
        source: '/hookgate/facebook',
        type: ['com.facebook', call.object, field, value.item, value.verb].filter(Boolean).join('.'),
        subject: value.comment_id ?? value.post_id,
        time: new Date((value.created_time ?? entry.time) * 1000).toISOString(),
        datacontenttype: 'application/json',
        provider: 'facebook',
        account: entry.id,
        assurance: 'signed',
        idsource: 'digest',
        receivedtime,
        calldigest,
        partitionkey: value.post_id ? `${entry.id}:${value.post_id}` : entry.id,
        headers,
        envelopeversion: '1.0',
        data,
      };
    }),
  );
  await send(envelopes);
  return { statusCode: 200 };
}
