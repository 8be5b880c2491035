// GitHub's webhooks to SQS: the check by GitHub's own SDK, one CloudEvent, one message.

import { verify } from '@octokit/webhooks-methods';
import { bodyOf, headersOf, send, settings, sha256 } from './gate.mjs';

const { secret } = await settings();
const HEADERS = [
  'user-agent',
  'x-github-event',
  'x-github-hook-id',
  'x-github-hook-installation-target-id',
  'x-github-hook-installation-target-type',
];

export async function handler(event) {
  const body = bodyOf(event);
  const text = body.toString('utf8');
  const signature = event.headers['x-hub-signature-256'];
  if (!signature || !(await verify(secret, text, signature))) return { statusCode: 401 };
  const data = JSON.parse(text);
  const id = event.headers['x-github-delivery'];
  const kind = event.headers['x-github-event'];
  await send([
    {
      specversion: '1.0',
      id,
      source: '/hookgate/github',
      type: `com.github.${data.action ? `${kind}.${data.action}` : kind}`,
      subject: data.repository?.full_name,
      datacontenttype: 'application/json',
      provider: 'github',
      account: data.repository?.owner.login,
      assurance: 'signed',
      idsource: 'header',
      receivedtime: new Date().toISOString(),
      calldigest: sha256(body),
      deliveryid: id,
      partitionkey: data.repository && String(data.repository.id),
      headers: headersOf(event, HEADERS),
      envelopeversion: '1.0',
      data,
    },
  ]);
  return { statusCode: 200 };
}
