// The loop of a Lambda function in Node: asks the Runtime API for a call, has it handled, posts the answer. The client
// that AWS's own images have (`aws-lambda-ric`) is built from C++ when it is installed and wants another Node; this one
// does the same over one connection that is kept, and starts sooner.
//
//   node runtime.mjs HANDLER.mjs

import http from 'node:http';
import { pathToFileURL } from 'node:url';

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function ask(method, path, body) {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const request = http.request({ host, port, agent, method, path: `/2018-06-01/runtime/${path}`, headers }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}

const failure = (error) => JSON.stringify({ errorType: error.name, errorMessage: String(error.message) });

let handler;
try {
  ({ handler } = await import(pathToFileURL(process.argv[2])));
} catch (error) {
  await ask('POST', 'init/error', failure(error));
  throw error;
}
for (;;) {
  const { headers, body } = await ask('GET', 'invocation/next');
  const invocation = `invocation/${headers['lambda-runtime-aws-request-id']}`;
  try {
    const answer = await handler(JSON.parse(body));
    await ask('POST', `${invocation}/response`, JSON.stringify(answer));
  } catch (error) {
    await ask('POST', `${invocation}/error`, failure(error));
  }
}
