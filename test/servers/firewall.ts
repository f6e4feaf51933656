import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Firewall {
  /** What runs a program behind it: see `RunOptions.under`. Empty where the kernel gives nobody a network of its own. */
  readonly under: readonly string[];
  /** Connections that have been made through it, by port. */
  readonly made: (port: number) => number;
  readonly stop: () => Promise<void>;
}

/** Lets connections out to these ports of this machine, and nothing else in either direction. */
export async function openFirewall(ports: readonly number[]): Promise<Firewall> {
  const directory = await mkdtemp(join(tmpdir(), 'sarra-fw-'));
  const made = new Map<number, number>();
  const sockets = new Set<Socket>();
  const servers = await Promise.all(
    ports.map((port) => way(port, join(directory, String(port)), made, sockets)),
  );
  const words = ports.map((port) => `${port}=${join(directory, String(port))}`);
  const inside = join(import.meta.dirname, 'behind-firewall.mjs');
  return {
    under: hasNamespaces() ? [...namespace, process.execPath, inside, ...words, '--'] : [],
    made: (port) => made.get(port) ?? 0,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      for (const server of servers) await new Promise((resolve) => server.close(resolve));
      await rm(directory, { recursive: true, force: true });
    },
  };
}

const namespace = process.getuid?.() === 0 ? ['unshare', '-n'] : ['unshare', '-rn'];

function hasNamespaces(): boolean {
  try {
    execFileSync(namespace[0] ?? '', [...namespace.slice(1), 'ip', 'link', 'set', 'lo', 'up'], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
}

async function way(
  port: number,
  path: string,
  made: Map<number, number>,
  sockets: Set<Socket>,
): Promise<Server> {
  const server = createServer((inside) => {
    made.set(port, (made.get(port) ?? 0) + 1);
    const outside = connect(port, '127.0.0.1');
    for (const socket of [inside, outside]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    }
    inside.on('error', () => outside.destroy());
    outside.on('error', () => inside.destroy());
    inside.pipe(outside).pipe(inside);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return server;
}
