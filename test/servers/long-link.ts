/**
 * A long line in front of a web server: what the server sends arrives late, and no connection gets more of it than its
 * window lets through. A link that loses packets lets TCP have such a window, whatever its width: with segments of 1460
 * bytes, 100 ms there and back and 1 % lost, 1460 x 1.22 / (0.1 s x 0.1) = 178,000 bytes a second.
 */
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net';

export interface LinkOptions {
  /** Milliseconds there and back. */
  readonly roundTrip: number;
  /** Bytes a second that one connection gets. */
  readonly rate: number;
}

export interface LongLink {
  readonly port: number;
  /** Bytes that have arrived, and the milliseconds from the first to the last. */
  readonly carried: () => { readonly bytes: number; readonly milliseconds: number };
  /** The most connections with bytes on their way at once. */
  readonly mostAtOnce: () => number;
  readonly close: () => Promise<void>;
}

export const lossyLink: LinkOptions = { roundTrip: 100, rate: 178_000 };

/** Bytes sent on at once. */
const piece = 1460;

export async function startLongLink(targetPort: number, { roundTrip, rate }: LinkOptions): Promise<LongLink> {
  const sockets = new Set<Socket>();
  const busy = new Map<Socket, number>();
  let [bytes, first, last, most] = [0, 0, 0, 0];
  const arrived = (length: number): void => {
    last = performance.now();
    if (bytes === 0) first = last;
    bytes += length;
  };

  const outward = (from: Socket, to: Socket): void => {
    // When the line of this connection is free again.
    let free = 0;
    from.on('data', (data) => {
      const now = performance.now();
      busy.set(from, (busy.get(from) ?? 0) + 1);
      most = Math.max(most, busy.size);
      for (let at = 0; at < data.length; at += piece) {
        const part = data.subarray(at, at + piece);
        free = Math.max(free, now) + (part.length / rate) * 1000;
        const isEnd = at + piece >= data.length;
        setTimeout(
          () => {
            arrived(part.length);
            if (!to.destroyed) to.write(part);
            if (isEnd) passed(from);
          },
          free - now + roundTrip / 2,
        );
      }
      // No more than the window is under way.
      from.pause();
      setTimeout(() => from.resume(), Math.max(0, free - now));
    });
    from.on('close', () => setTimeout(() => to.destroy(), Math.max(0, free - performance.now()) + roundTrip));
  };
  const passed = (from: Socket): void => {
    const left = (busy.get(from) ?? 1) - 1;
    if (left === 0) busy.delete(from);
    else busy.set(from, left);
  };
  const inward = (from: Socket, to: Socket): void => {
    from.on('data', (data) => setTimeout(() => to.destroyed || to.write(data), roundTrip / 2));
    from.on('close', () => to.destroy());
  };

  const listener = createServer((client) => {
    const server = createConnection({ host: '127.0.0.1', port: targetPort, noDelay: true });
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    }
    inward(client, server);
    outward(server, client);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return {
    port: (listener.address() as AddressInfo).port,
    carried: () => ({ bytes, milliseconds: last - first }),
    mostAtOnce: () => most,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
