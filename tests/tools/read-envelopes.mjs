// Reads envelopes, a JSON array of texts, with the CloudEvents SDK for JavaScript, as a consumer would.
//
//     node read-envelopes.mjs NODE_MODULES FILE
//
// Writes what the SDK found, one JSON object a line: the attributes and the data. Bytes are written as {"base64": ...}.
// Ends with 1 at the first one that the SDK refuses.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, file] = process.argv.slice(2);
const { HTTP } = createRequire(join(modules, "/"))("cloudevents");
for (const text of JSON.parse(readFileSync(file, "utf8"))) {
  const event = HTTP.toEvent({ headers: { "content-type": "application/cloudevents+json" }, body: text });
  event.validate();
  const { data, data_base64, ...attributes } = event.toJSON();
  const bytes = data_base64 === undefined ? undefined : { base64: data_base64 };
  console.log(JSON.stringify({ attributes, data: bytes ?? data ?? null }));
}
