// A webhook receiver in a process of its own: it tells its parent of each request, and answers as its parent says.
import { createServer } from 'node:http';

let answer = { status: 204 };

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const { method, url, headers } = request;
  process.send({ request: { method, url, headers, body: Buffer.concat(chunks).toString('utf8') } });
  if (answer.status === 0) return;
  response.writeHead(answer.status, answer.headers ?? {});
  response.end(answer.body ?? '');
});

process.on('message', (next) => {
  answer = next;
  process.send({ answering: true });
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => process.send({ port: server.address().port }));
