import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  /** What has come of the body. */
  body: Buffer;
}

/** A server that takes files and misbehaves on demand: the first element of the path says how. */
export interface OddUploadServer {
  /** Base URL with final slash. */
  readonly url: string;
  /** Requests so far, oldest first, but for OPTIONS. */
  readonly requests: Asked[];
  /** Times it was asked what it can do. */
  readonly asked: () => number;
  readonly stop: () => Promise<void>;
}

type Behaviour = (request: IncomingMessage, response: ServerResponse, asked: Asked) => void;

const whenWhole =
  (then: Behaviour): Behaviour =>
  (request, response, asked) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      asked.body = Buffer.concat(pieces);
      then(request, response, asked);
    });
  };

/** Answers `status-413`, or `status-413-120` with the seconds after which to try again, as soon as it is asked. */
const status: Behaviour = ({ url = '' }, response) => {
  const [, code = '500', after] = /status-(\d+)(?:-(\d+))?/u.exec(url) ?? [];
  response.writeHead(Number(code), {
    'content-length': 2,
    ...(after !== undefined && { 'retry-after': after }),
  });
  response.end('no');
};

const behaviours: Readonly<Record<string, Behaviour>> = {
  right: whenWhole((_request, response) => response.writeHead(201).end()),
  /** Takes all of it, and says nothing. */
  silent: whenWhole(() => undefined),
  /** Takes nothing beyond what fits into the buffers in between. */
  'takes-nothing': (request) => request.pause(),
  'takes-little': (request, response) => {
    request.once('data', () => {
      request.pause();
      response.writeHead(413, { 'content-length': 2, connection: 'close' }).end('no');
    });
  },
  /** Closes the connection when a part has come. */
  cuts: (request) => request.once('data', () => request.socket.resetAndDestroy()),
  /** The rest is the percent-encoded location. */
  'to-307': whenWhole(({ url = '' }, response) =>
    response.writeHead(307, { location: decodeURIComponent(url.replace(/^\/to-307\//u, '')) }).end(),
  ),
  'to-302': whenWhole((_request, response) => response.writeHead(302, { location: '/right/x' }).end()),
};

export interface OddUploadOptions {
  /** What the answer to OPTIONS says in its header DAV. */
  readonly dav?: string;
  /** Answers to methods other than PUT and OPTIONS, by method and path; 201 otherwise. */
  readonly answers?: (asked: Asked) => number | undefined;
}

export async function startOddUploadServer({
  dav,
  answers,
}: OddUploadOptions = {}): Promise<OddUploadServer> {
  const requests: Asked[] = [];
  const sockets = new Set<Socket>();
  let asked = 0;
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    response.on('error', () => undefined);
    request.on('error', () => undefined);
    if (method === 'OPTIONS') {
      asked += 1;
      response.writeHead(dav === undefined ? 405 : 200, dav === undefined ? {} : { dav }).end();
      return;
    }
    const made: Asked = { method, path: url, headers, body: Buffer.alloc(0) };
    requests.push(made);
    const name = /^\/([^/?]*)/u.exec(url)?.[1] ?? '';
    const behave = method === 'PUT' ? (name.startsWith('status-') ? status : behaviours[name]) : undefined;
    if (behave !== undefined) behave(request, response, made);
    else whenWhole(() => response.writeHead(answers?.(made) ?? 201).end())(request, response, made);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    requests,
    asked: () => asked,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
