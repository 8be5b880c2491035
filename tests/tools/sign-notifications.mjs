// Signs a notification of every kind as Braintree does, and answers challenges as its library tells merchants to.
//
//     node sign-notifications.mjs NODE_MODULES PUBLIC_KEY PRIVATE_KEY [CHALLENGE...]
//
// Writes one JSON object a line: kind, xml (what is signed in base64), form (the body, encoded by the runtime); then
// challenge, answer for each challenge. All of it is made by the npm package `braintree`, without a network.

import { join } from "node:path";
import { createRequire } from "node:module";

const [modules, publicKey, privateKey, ...challenges] = process.argv.slice(2);
const braintree = createRequire(join(modules, "x.js"))("braintree");
const gateway = new braintree.BraintreeGateway({
  environment: braintree.Environment.Sandbox,
  merchantId: "a_merchant",
  publicKey,
  privateKey,
});
for (const kind of Object.values(braintree.WebhookNotification.Kind)) {
  const signed = gateway.webhookTesting.sampleNotification(kind, "an_id", "a_source_merchant");
  const xml = Buffer.from(signed.bt_payload, "base64").toString();
  console.log(JSON.stringify({ kind, xml, form: new URLSearchParams(signed).toString() }));
}
for (const challenge of challenges) {
  console.log(JSON.stringify({ challenge, answer: gateway.webhookNotification.verify(challenge) }));
}
