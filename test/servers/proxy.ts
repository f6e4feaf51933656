/** A TCP proxy with faults: connections through it can be cut, reset, frozen or refused. */
import { createConnection, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export interface Proxy {
  readonly port: number;
  /** Connections that were opened through it so far. */
  readonly opened: () => number;
  /** Bytes that passed, in either direction. */
  readonly bytes: () => number;
  /** Ends every connection with a reset, on both sides. */
  readonly cut: () => void;
  /** No byte passes any more, in either direction, on connections of now and later; they stay open (a black hole). */
  readonly stall: () => void;
  /** Bytes pass again, those held back first. */
  readonly resume: () => void;
  /**
   * A black hole for every connection on which the client sends `text`, beginning with the bytes that contain it, until
   * all are cut. Resolves when there is the first.
   */
  readonly swallowFrom: (text: string) => Promise<void>;
  /** What the server says on the connections of now is not heard any more; it still hears the client. */
  readonly mute: () => void;
  /** New connections are reset at once, until `accept`. */
  readonly refuse: () => void;
  readonly accept: () => void;
  /** Cuts every connection after that many further bytes from the client. */
  readonly cutAfter: (bytes: number) => void;
  readonly close: () => Promise<void>;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  readonly onlooker: Onlooker | undefined;
}

/** Reads along on one connection. */
export interface Onlooker {
  readonly fromClient: (data: Buffer) => void;
  readonly fromServer: (data: Buffer) => void;
  /** Told once: who was the first to end it. */
  readonly ended: (by: 'client' | 'server') => void;
}

/** A proxy on a port of its own in front of a port on loopback. */
export async function startProxy(targetPort: number, look?: () => Onlooker): Promise<Proxy> {
  const pairs = new Set<Pair>();
  let opened = 0;
  let bytes = 0;
  let budget = Number.POSITIVE_INFINITY;
  let isStalled = false;
  let isRefusing = false;

  /** Nothing passes on these any more. */
  const swallowed = new Set<Pair>();
  const muted = new WeakSet<Pair>();
  let mark: { readonly text: string; readonly found: () => void } | undefined;

  const isSwallowed = (pair: Pair, from: Socket, data: Buffer): boolean => {
    if (from === pair.client && mark !== undefined && data.includes(mark.text)) {
      swallowed.add(pair);
      mark.found();
    }
    return swallowed.has(pair);
  };

  const cut = (): void => {
    mark = undefined;
    for (const { client, server } of pairs) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
    pairs.clear();
  };

  const told = new WeakSet<Pair>();
  const over = (pair: Pair, by: Socket): void => {
    if (told.has(pair)) return;
    told.add(pair);
    pair.onlooker?.ended(by === pair.client ? 'client' : 'server');
  };

  const pass = (pair: Pair, from: Socket, to: Socket): void => {
    if (isStalled) from.pause();
    from.on('data', (data) => {
      if (isSwallowed(pair, from, data)) return;
      if (from === pair.server && muted.has(pair)) return;
      bytes += data.length;
      if (from === pair.client) pair.onlooker?.fromClient(data);
      else pair.onlooker?.fromServer(data);
      if (from === pair.client) budget -= data.length;
      if (budget < 0) {
        budget = Number.POSITIVE_INFINITY;
        cut();
        return;
      }
      if (!to.write(data)) {
        from.pause();
        to.once('drain', () => {
          if (!isStalled) from.resume();
        });
      }
    });
    from.on('end', () => {
      over(pair, from);
      to.end();
    });
    from.on('error', () => {
      over(pair, from);
      to.destroy();
    });
    from.on('close', () => {
      over(pair, from);
      pairs.delete(pair);
      to.destroy();
    });
  };

  const listener = createServer((client) => {
    if (isRefusing) {
      client.on('error', () => undefined);
      client.resetAndDestroy();
      return;
    }
    opened += 1;
    const server = createConnection({ host: '127.0.0.1', port: targetPort, noDelay: true });
    client.setNoDelay(true);
    const pair = { client, server, onlooker: look?.() };
    pairs.add(pair);
    pass(pair, client, server);
    pass(pair, server, client);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));

  return {
    port: (listener.address() as AddressInfo).port,
    opened: () => opened,
    bytes: () => bytes,
    cut,
    stall: () => {
      isStalled = true;
      for (const { client, server } of pairs) {
        client.pause();
        server.pause();
      }
    },
    resume: () => {
      isStalled = false;
      for (const { client, server } of pairs) {
        client.resume();
        server.resume();
      }
    },
    swallowFrom: (text) => new Promise((found) => (mark = { text, found })),
    mute: () => {
      for (const pair of pairs) muted.add(pair);
    },
    refuse: () => (isRefusing = true),
    accept: () => (isRefusing = false),
    cutAfter: (limit) => (budget = limit),
    close: async () => {
      cut();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
