import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { gzipSync } from 'node:zlib';

/** A web server that misbehaves on demand: the first element of the path says how. */
export interface OddServer {
  /** Base URL with final slash. */
  readonly url: string;
  /** Requests so far, oldest first. */
  readonly requests: { path: string; headers: IncomingMessage['headers'] }[];
  /** Connections open now. */
  readonly connections: () => number;
  /** Connections accepted so far. */
  readonly accepted: () => number;
  readonly stop: () => Promise<void>;
}

/** What a well-behaved server would send for every path. */
export const rightBody = Buffer.from('0123456789'.repeat(10));

type Behaviour = (
  request: IncomingMessage,
  response: ServerResponse,
  rest: string,
  requests: OddServer['requests'],
) => void;

const status =
  (code: number, headers: Record<string, string> = {}): Behaviour =>
  (_request, response) => {
    response.writeHead(code, { 'content-length': '5', ...headers }).end('sorry');
  };

const behaviours: Readonly<Record<string, Behaviour>> = {
  right: (_request, response) => response.end(rightBody),
  /** Announces 100 bytes, sends 40, closes. */
  'short-body': (_request, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write(rightBody.subarray(0, 40), () => response.destroy());
  },
  /** Without a length, ends properly after 40 bytes: only the caller can know. */
  'short-chunked': (_request, response) => {
    response.write(rightBody.subarray(0, 40));
    response.end();
  },
  /** Announces 40 bytes on the wire and sends 100. */
  'long-body': (request) => {
    request.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n');
    request.socket.end(rightBody);
  },
  /** Sends for ever. */
  endless: (_request, response) => {
    const more = (): void => {
      if (!response.destroyed) response.write(Buffer.alloc(65536, 'x'), () => setImmediate(more));
    };
    more();
  },
  'wrong-data': (_request, response) => response.end(Buffer.alloc(100, 'x')),
  'status-401': status(401, { 'www-authenticate': 'Basic' }),
  'status-403': status(403),
  'status-404': status(404),
  'status-410': status(410),
  'status-429': status(429, { 'retry-after': '120' }),
  'status-400': status(400),
  'status-500': status(500),
  'status-503': status(503, { 'retry-after': '90' }),
  'status-204': (_request, response) => response.writeHead(204).end(),
  /** Five requests fail, whatever the file; then all is well. */
  'fails-at-first': (_request, response, _rest, { length }) => {
    if (length <= 5) response.writeHead(503).end();
    else response.end(rightBody);
  },
  'stall-before': () => undefined,
  'stall-inside': (_request, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write(rightBody.subarray(0, 40));
  },
  /** A large body of which only the beginning comes. */
  'stall-large': (_request, response) => {
    response.writeHead(200, { 'content-length': '1000000' });
    response.write(Buffer.alloc(100_000));
  },
  /** A byte from time to time, for ever. */
  drip: (_request, response) => {
    response.writeHead(200, { 'content-length': '1000000' });
    const timer = setInterval(() => response.write('x'), 20);
    response.on('close', () => clearInterval(timer));
  },
  /** Fifty bytes from time to time: slow, and to be waited for. The rest of the path says how many times. */
  trickle: (_request, response, rest) => {
    let left = Number(rest);
    response.writeHead(200, { 'content-length': String(left * 50) });
    const timer = setInterval(() => {
      left -= 1;
      if (left > 0) response.write('x'.repeat(50));
      else response.end('x'.repeat(50));
      if (left === 0) clearInterval(timer);
    }, 20);
    response.on('close', () => clearInterval(timer));
  },
  reset: (request) => request.socket.resetAndDestroy(),
  'reset-inside': (request, response) => {
    response.writeHead(200, { 'content-length': '1000000' });
    response.write(Buffer.alloc(200_000), () => setTimeout(() => request.socket.resetAndDestroy(), 50));
  },
  loop: (_request, response, rest) =>
    response.writeHead(302, { location: `/loop/${Number(rest) + 1}` }).end(),
  /** `hops/3` redirects three times, then answers properly. */
  hops: (_request, response, rest) => {
    const left = Number(rest);
    response.writeHead(302, { location: left > 1 ? `/hops/${left - 1}` : '/right/x' }).end('moved');
  },
  /** The rest is the percent-encoded location. */
  to: (_request, response, rest) => response.writeHead(301, { location: decodeURIComponent(rest) }).end(),
  'no-location': (_request, response) => response.writeHead(302).end(),
  'ignores-range': (_request, response) => response.end(rightBody),
  /** Answers every range with bytes 0-9. */
  'wrong-range': (_request, response) =>
    response.writeHead(206, { 'content-range': 'bytes 0-9/100' }).end(rightBody.subarray(0, 10)),
  'long-range': (_request, response) =>
    response.writeHead(206, { 'content-range': 'bytes 10-99/100' }).end(rightBody.subarray(10)),
  'no-content-range': (_request, response) => response.writeHead(206).end(rightBody.subarray(10, 20)),
  'range-beyond': (_request, response) => response.writeHead(416, { 'content-range': 'bytes */5' }).end(),
  gzip: (_request, response) =>
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(rightBody)),
  'big-headers': (_request, response) => {
    for (let number = 0; number < 100; number += 1) response.setHeader(`x-${number}`, 'y'.repeat(1000));
    response.end(rightBody);
  },
  garbage: (request) => request.socket.end('this is not HTTP\r\n\r\n'),
};

/** Starts the server on a free port of an address of loopback. */
export async function startOddServer(address = '127.0.0.1'): Promise<OddServer> {
  const requests: OddServer['requests'] = [];
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    requests.push({ path, headers: request.headers });
    const [, name = '', rest = ''] = /^\/([^/]*)\/?(.*)$/u.exec(path) ?? [];
    const behave = behaviours[name] ?? status(404);
    response.on('error', () => undefined);
    behave(request, response, rest, requests);
  });
  server.on('connection', (socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  return {
    url: `http://${address}:${(server.address() as AddressInfo).port}/`,
    requests,
    connections: () => sockets.size,
    accepted: () => accepted,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
