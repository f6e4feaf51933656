/** Web servers on loopback whose answers a test decides; each has a port of its own. */
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  /** Percent-decoded, with the leading slash. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

/** A body with status 200, or 206 where a range of it is asked for; a status with headers and body; undefined for 404. */
export type Reply =
  | Buffer
  | {
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: Buffer;
    }
  | undefined;

export interface Site {
  readonly port: number;
  /** Base URL with final slash. */
  readonly url: string;
  /** What was asked for so far, oldest first. */
  readonly asked: readonly Asked[];
}

export interface Sites {
  /** Opens one more site. An answer that is a promise is awaited: the test decides when it comes. */
  readonly open: (
    answer: (asked: Asked, response: ServerResponse) => Reply | Promise<Reply>,
  ) => Promise<Site>;
  readonly stop: () => Promise<void>;
}

/** The range of a body that is asked for, if one is. */
function ranged(body: Buffer, range: string | undefined): Exclude<Reply, Buffer | undefined> {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/u.exec(range ?? '') ?? [];
  if (from === undefined || to === undefined) return { status: 200, body };
  const part = body.subarray(Number(from), Number(to) + 1);
  if (part.length === 0) return { status: 416 };
  const last = Number(from) + part.length - 1;
  return { status: 206, headers: { 'content-range': `bytes ${from}-${last}/${body.length}` }, body: part };
}

function send(response: ServerResponse, reply: Reply, range: string | undefined): void {
  if (response.headersSent || response.destroyed) return;
  if (reply === undefined) {
    response.writeHead(404, { 'content-length': '0' }).end();
    return;
  }
  const { status, headers, body } = Buffer.isBuffer(reply)
    ? { headers: {}, body: Buffer.alloc(0), ...ranged(reply, range) }
    : { headers: {}, body: Buffer.alloc(0), ...reply };
  response.writeHead(status, { 'content-length': String(body.length), ...headers }).end(body);
}

export function openSites(): Sites {
  const servers: Server[] = [];
  return {
    open: async (answer) => {
      const asked: Asked[] = [];
      const server = createServer((request, response) => {
        const path = decodeURIComponent((request.url ?? '').replace(/\?.*$/su, ''));
        const question: Asked = { path, headers: request.headers };
        asked.push(question);
        Promise.resolve(answer(question, response)).then(
          (reply) => send(response, reply, request.headers.range),
          () => response.destroy(),
        );
      });
      servers.push(server);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      return { port, url: `http://127.0.0.1:${port}/`, asked };
    },
    stop: async () => {
      await Promise.all(
        servers.map(async (server) => {
          const closed = new Promise((resolve) => server.close(resolve));
          server.closeAllConnections();
          await closed;
        }),
      );
    },
  };
}
