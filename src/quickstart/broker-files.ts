/** The files a private RabbitMQ node reads: configuration, definitions, plugins, cookie, and what we remember of it. */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { FatalError, systemCode } from '../errors.js';
import { hashingAlgorithm, hashPassword } from '../pump/passwords.js';

/** A broker user with a password in clear; only its salted hash is written to disk. */
export interface BrokerUser {
  readonly name: string;
  readonly password: string;
  /** `administrator`, `monitoring`, ... */
  readonly tags?: readonly string[];
  /** Patterns on names; without them the user may log in and do nothing. */
  readonly permissions?: { readonly configure: string; readonly write: string; readonly read: string };
  /** Where the permissions hold; `/` unless given. */
  readonly vhost?: string;
}

/** What shall exist when the node has booted for the first time. */
export interface BrokerDefinitions {
  readonly users?: readonly BrokerUser[];
  /** Beside `/`, which always exists. */
  readonly vhosts?: readonly string[];
  /** Durable topic exchanges. */
  readonly exchanges?: readonly { readonly name: string; readonly vhost?: string }[];
}

/** What a node keeps over its restarts. */
export interface NodeRecord {
  readonly port: number;
  readonly managementPort: number | undefined;
  readonly distributionPort: number;
  readonly adminPassword: string;
}

/** Paths below the node's directory. */
export const nodePaths = (directory: string) => ({
  record: join(directory, 'broker.json'),
  settings: join(directory, 'rabbitmq.config'),
  definitions: join(directory, 'definitions.json'),
  plugins: join(directory, 'enabled_plugins'),
  home: join(directory, 'home'),
  data: join(directory, 'data'),
  node: join(directory, 'data', 'node'),
  logs: join(directory, 'log'),
  console: join(directory, 'log', 'console.log'),
  log: join(directory, 'log', 'broker.log'),
  nothing: join(directory, 'no-such-file'),
});

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => {
      resolve(false);
    });
    probe.listen({ host: '127.0.0.1', port, exclusive: true }, () => {
      probe.close(() => {
        resolve(true);
      });
    });
  });

/**
 * A free TCP port on loopback, below the range the kernel hands out to outgoing connections: a client that keeps
 * dialling a port of that range while nobody listens can end up connected to itself.
 */
export async function freePort(taken: readonly number[] = []): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = 10_000 + (randomBytes(4).readUInt32BE() % 22_000);
    if (!taken.includes(port) && (await isFree(port))) return port;
  }
  throw new FatalError('Found no free TCP port on 127.0.0.1 between 10000 and 31999.');
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isInteger(value);

/** What an earlier run left in the directory; undefined when there was none, or it cannot be read. */
async function readRecord(directory: string): Promise<NodeRecord | undefined> {
  try {
    const found: unknown = JSON.parse(await readFile(nodePaths(directory).record, 'utf8'));
    if (typeof found !== 'object' || found === null) return undefined;
    const { port, managementPort, distributionPort, adminPassword } = found as Record<string, unknown>;
    if (!isNumber(port) || !isNumber(distributionPort) || typeof adminPassword !== 'string') return undefined;
    return {
      port,
      managementPort: isNumber(managementPort) ? managementPort : undefined,
      distributionPort,
      adminPassword,
    };
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw new FatalError(`Cannot read ${nodePaths(directory).record}; check its owner and mode.`, {
      cause: error,
    });
  }
}

/** Ports and password of the node in `directory`: those of its last run, or fresh ones. */
export async function planNode(
  directory: string,
  wish: { port?: number | undefined; management: boolean; adminPassword?: string | undefined },
): Promise<NodeRecord> {
  const before = await readRecord(directory);
  const port = wish.port ?? before?.port ?? (await freePort());
  const distributionPort = before?.distributionPort ?? (await freePort([port]));
  const managementPort = wish.management
    ? (before?.managementPort ?? (await freePort([port, distributionPort])))
    : undefined;
  const adminPassword = before?.adminPassword ?? wish.adminPassword ?? randomBytes(18).toString('base64url');
  return { port, managementPort, distributionPort, adminPassword };
}

/** The definitions as the broker imports them. */
export function definitionsDocument(wish: BrokerDefinitions): unknown {
  const users = wish.users ?? [];
  return {
    vhosts: [...new Set(['/', ...(wish.vhosts ?? [])])].map((name) => ({ name })),
    users: users.map((user) => ({
      name: user.name,
      password_hash: hashPassword(user.password),
      hashing_algorithm: hashingAlgorithm,
      tags: [...(user.tags ?? [])],
      limits: {},
    })),
    permissions: users.flatMap((user) =>
      user.permissions === undefined
        ? []
        : [{ user: user.name, vhost: user.vhost ?? '/', ...user.permissions }],
    ),
    exchanges: (wish.exchanges ?? []).map(({ name, vhost }) => ({
      name,
      vhost: vhost ?? '/',
      type: 'topic',
      durable: true,
      auto_delete: false,
      internal: false,
      arguments: {},
    })),
  };
}

const erlangString = (text: string): string => `"${text.replace(/[\\"]/g, '\\$&')}"`;

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Erlang terms rather than the newer key-value form: the node boots about a second faster without translating it. */
function settingsText(
  directory: string,
  record: NodeRecord,
  fresh: boolean,
  extra: readonly string[],
): string {
  const paths = nodePaths(directory);
  const rabbit = [
    `{tcp_listeners, [{"127.0.0.1", ${record.port}}]}`,
    '{loopback_users, []}',
    `{log, [{file, [{file, ${erlangString('broker.log')}}, {level, info}]}]}`,
    ...(fresh ? [`{load_definitions, ${erlangString(paths.definitions)}}`] : []),
    ...extra,
  ];
  const parts = [`{rabbit, [${rabbit.join(', ')}]}`];
  if (record.managementPort !== undefined)
    parts.push(
      `{rabbitmq_management, [{tcp_config, [{ip, "127.0.0.1"}, {port, ${record.managementPort}}]}]}`,
    );
  return `[${parts.join(',\n ')}].\n`;
}

/**
 * Writes everything the node reads. Definitions are given only to a node without data, so that what was changed
 * later (passwords, permissions) survives restarts.
 */
export async function writeNodeFiles(
  directory: string,
  record: NodeRecord,
  definitions: BrokerDefinitions,
  extra: readonly string[],
): Promise<void> {
  const paths = nodePaths(directory);
  try {
    for (const path of [directory, paths.home, paths.data, paths.logs])
      await mkdir(path, { recursive: true, mode: 0o700 });
    const ready = join(paths.data, 'ready');
    const fresh = !(await exists(ready));
    if (fresh) await rm(paths.node, { recursive: true, force: true });
    const cookie = join(paths.home, '.erlang.cookie');
    if (!(await exists(cookie))) await writeFile(cookie, randomBytes(15).toString('hex'), { mode: 0o600 });
    await chmod(cookie, 0o400);
    await writeFile(paths.record, `${JSON.stringify(record)}\n`, { mode: 0o600 });
    await writeFile(
      paths.plugins,
      record.managementPort === undefined ? '[].\n' : '[rabbitmq_management].\n',
    );
    await writeFile(paths.definitions, JSON.stringify(definitionsDocument(definitions)), { mode: 0o600 });
    await writeFile(paths.settings, settingsText(directory, record, fresh, extra), { mode: 0o600 });
  } catch (error) {
    throw new FatalError(`Cannot write the private broker's files below ${directory}; is it writable?`, {
      cause: error,
    });
  }
}

/** Remembers that the first boot ended well: from now on the node's own data rules. */
export const markReady = (directory: string): Promise<void> =>
  writeFile(join(nodePaths(directory).data, 'ready'), '');
