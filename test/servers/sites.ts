/** Web servers on loopback whose answers a test decides; each has a port of its own. */
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  /** Percent-decoded, with the leading slash. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

/** A body with status 200; a status with headers and body; undefined for 404. */
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

function send(response: ServerResponse, reply: Reply): void {
  if (response.headersSent || response.destroyed) return;
  if (reply === undefined) {
    response.writeHead(404, { 'content-length': '0' }).end();
    return;
  }
  const { status, headers, body } = Buffer.isBuffer(reply)
    ? { status: 200, headers: {}, body: reply }
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
          (reply) => send(response, reply),
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
