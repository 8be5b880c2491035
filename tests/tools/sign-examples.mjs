// Signs every payload of GitHub's published examples as GitHub does.
//
//     node sign-examples.mjs NODE_MODULES SECRET
//
// Writes one JSON object a line: event, payload (the text that is signed), signature, form (the same payload as a form,
// URL-encoded by the runtime), formSignature. The payloads are those of @octokit/webhooks-examples for api.github.com; the
// signatures are made by @octokit/webhooks-methods.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, secret] = process.argv.slice(2);
const octokit = join(modules, "@octokit");
const { sign } = await import(pathToFileURL(join(octokit, "webhooks-methods/dist-node/index.js")));
const all = JSON.parse(readFileSync(join(octokit, "webhooks-examples/api.github.com/index.json"), "utf8"));
for (const { name, examples } of all) {
  for (const example of examples) {
    const payload = JSON.stringify(example);
    const form = new URLSearchParams({ payload }).toString();
    const signed = { signature: await sign(secret, payload), formSignature: await sign(secret, form) };
    console.log(JSON.stringify({ event: name, payload, form, ...signed }));
  }
}
