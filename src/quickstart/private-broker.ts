/**
 * A RabbitMQ node of one's own: unprivileged, on loopback, in one directory, gone when its owner goes. It runs
 * straight from the distribution's library directory and never touches the system's service. It needs no epmd: the
 * distribution port is given on the command line, so several nodes live beside each other without meeting.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { FatalError } from '../errors.js';
import { silentLogger } from '../logger.js';
import type { Logger } from '../logger.js';
import { markReady, nodePaths, planNode, writeNodeFiles } from './broker-files.js';
import type { BrokerDefinitions, NodeRecord } from './broker-files.js';
import { guardAgainstDeath } from './guard.js';

export interface BrokerOptions {
  /** Everything the node owns is below it; given again, the node continues with its ports, users and messages. */
  readonly directory: string;
  /** AMQP port on 127.0.0.1; a free one, the same at every start, unless given. */
  readonly port?: number;
  /** Start the management plugin (HTTP API and web pages). Off unless given: it costs memory and a slower stop. */
  readonly management?: boolean;
  /** Exist after the first boot, in addition to the user `admin`. */
  readonly definitions?: BrokerDefinitions;
  /** First password of `admin`; random unless given. */
  readonly adminPassword?: string;
  /** Further Erlang terms of RabbitMQ's `rabbit` section, e.g. `{vm_memory_high_watermark, 0.0001}`. */
  readonly settings?: readonly string[];
  /** Milliseconds the boot may take; 120 seconds unless given. */
  readonly bootTimeout?: number;
  /** Remove the directory when this process dies without having stopped the node. For tests. */
  readonly temporary?: boolean;
  readonly log?: Logger;
  readonly signal?: AbortSignal;
}

export interface PrivateBroker {
  readonly directory: string;
  readonly host: '127.0.0.1';
  readonly port: number;
  readonly managementPort: number | undefined;
  readonly adminUser: 'admin';
  readonly adminPassword: string;
  /** `amqp://admin:...@127.0.0.1:port/`; holds the password. */
  readonly adminUrl: string;
  /** Process id of the node while it runs. */
  readonly pid: () => number | undefined;
  /** Text of the end of the node's log. */
  readonly logTail: () => Promise<string>;
  /** Ends the node: orderly, and by force after 2.5 seconds. Harmless when it is stopped. */
  readonly stop: () => Promise<void>;
  /** Ends the node at once, as a crash would. */
  readonly kill: () => Promise<void>;
  /** Boots the node again in the same place, with the same ports and data. */
  readonly start: () => Promise<void>;
  readonly restart: () => Promise<void>;
}

const roots = ['/usr/lib/rabbitmq/lib', '/usr/local/lib/rabbitmq/lib', '/opt/rabbitmq'];

const isProgram = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true;

/** RabbitMQ's library directory (it holds `sbin/rabbitmq-server`), the newest if several; undefined when missing. */
export function brokerProgram(): string | undefined {
  for (const root of roots) {
    if (statSync(root, { throwIfNoEntry: false })?.isDirectory() !== true) continue;
    const found = readdirSync(root)
      .filter((name) => isProgram(join(root, name, 'sbin/rabbitmq-server')))
      .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
    if (found[0] !== undefined) return join(root, found[0]);
    if (isProgram(join(root, 'sbin/rabbitmq-server'))) return root;
  }
  return undefined;
}

/** Nodes of this process that run now; ended with it. */
const running = new Set<number>();
let watchesExit = false;

function signalGroup(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // ESRCH: it ended by itself in the meantime, which is what was wanted.
    void error;
  }
}

function endWithUs(pid: number): void {
  running.add(pid);
  if (watchesExit) return;
  watchesExit = true;
  process.once('exit', () => {
    for (const left of running) signalGroup(left, 'SIGKILL');
  });
}

/** Ends the node when we die; the exit handler above cannot run when we are killed. */
function guard(pid: number, remove: string): ChildProcess {
  const gently =
    'kill -s TERM -- "-$1"; for i in 1 2 3 4 5 6; do sleep 0.5; kill -s 0 -- "-$1" || exit 0; done; kill -s KILL -- "-$1"';
  const forGood = 'kill -s KILL -- "-$1"; sleep 0.3; rm -rf -- "$2"';
  return guardAgainstDeath({
    name: 'broker-guard',
    script: remove === '' ? gently : forGood,
    words: [String(pid), remove],
  });
}

function environment(directory: string, record: NodeRecord): NodeJS.ProcessEnv {
  const paths = nodePaths(directory);
  const distribution = `inet_dist_listen_min ${record.distributionPort} inet_dist_listen_max ${record.distributionPort}`;
  return {
    PATH: `${process.env['PATH'] ?? ''}:/usr/local/bin:/usr/bin:/bin`,
    HOME: paths.home,
    LANG: 'C.UTF-8',
    // The script then becomes the node instead of watching over it, and the process id is the node's.
    RUNNING_UNDER_SYSTEMD: 'true',
    ERL_CRASH_DUMP: join(paths.logs, 'crash.dump'),
    RABBITMQ_CONF_ENV_FILE: paths.nothing,
    RABBITMQ_NODENAME: 'sarracenia@localhost',
    RABBITMQ_CONFIG_FILE: paths.settings,
    RABBITMQ_ADVANCED_CONFIG_FILE: paths.nothing,
    RABBITMQ_ENABLED_PLUGINS_FILE: paths.plugins,
    RABBITMQ_MNESIA_BASE: paths.data,
    RABBITMQ_MNESIA_DIR: paths.node,
    RABBITMQ_FEATURE_FLAGS_FILE: join(paths.data, 'feature_flags'),
    RABBITMQ_PLUGINS_EXPAND_DIR: join(paths.data, 'plugins'),
    RABBITMQ_PID_FILE: join(paths.data, 'pid'),
    RABBITMQ_LOG_BASE: paths.logs,
    RABBITMQ_DIST_PORT: String(record.distributionPort),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
      `-sname sarracenia@localhost -start_epmd false -erl_epmd_port ${record.distributionPort} ` +
      `-kernel ${distribution} inet_dist_use_interface {127,0,0,1}`,
  };
}

interface Node {
  readonly pid: number;
  readonly child: ChildProcess;
  readonly ended: Promise<string>;
}

async function spawnNode(
  program: string,
  directory: string,
  record: NodeRecord,
  temporary: boolean,
): Promise<Node> {
  const output = await open(nodePaths(directory).console, 'w', 0o600);
  try {
    const child = spawn(join(program, 'sbin/rabbitmq-server'), [], {
      cwd: directory,
      env: environment(directory, record),
      stdio: ['ignore', output.fd, output.fd],
      detached: true,
    });
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => {
        resolve(error.message);
      });
      child.once('exit', (code, signal) => {
        resolve(signal === null ? `exit code ${String(code)}` : `signal ${signal}`);
      });
    });
    const { pid } = child;
    if (pid === undefined)
      throw new FatalError(`Cannot run ${program}/sbin/rabbitmq-server: ${await ended}.`);
    endWithUs(pid);
    const watch = guard(pid, temporary ? directory : '');
    void ended.then(() => {
      // Before the process id can be given to somebody else.
      running.delete(pid);
      watch.kill('SIGKILL');
    });
    return { pid, child, ended };
  } finally {
    await output.close();
  }
}

async function tail(directory: string): Promise<string> {
  const paths = nodePaths(directory);
  const texts = await Promise.all(
    [paths.console, paths.log].map((path) => readFile(path, 'utf8').catch(() => '')),
  );
  return texts
    .map((text) => text.trimEnd().split('\n').slice(-15).join('\n'))
    .filter((text) => text !== '')
    .join('\n');
}

/** Waits until the node says that it is complete; its early end, the deadline and the caller's signal cut it short. */
async function untilReady(
  node: Node,
  directory: string,
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const deadline = Date.now() + timeout;
  let ended: string | undefined;
  void node.ended.then((how) => (ended = how));
  for (;;) {
    const said = await readFile(nodePaths(directory).console, 'utf8').catch(() => '');
    if (ended !== undefined)
      throw new FatalError(
        `The private broker in ${directory} ended while booting (${ended}):\n${await tail(directory)}`,
      );
    if (said.includes('completed with')) return;
    if (signal?.aborted === true || Date.now() > deadline) {
      signalGroup(node.pid, 'SIGKILL');
      await node.ended;
      const why =
        signal?.aborted === true ? 'was not wanted any more' : `was not ready after ${timeout / 1000} s`;
      throw new FatalError(`The private broker in ${directory} ${why}:\n${await tail(directory)}`);
    }
    await delay(40);
  }
}

async function boot(
  program: string,
  directory: string,
  record: NodeRecord,
  options: BrokerOptions,
): Promise<Node> {
  const admin = {
    name: 'admin',
    password: record.adminPassword,
    tags: ['administrator'],
    permissions: { configure: '.*', write: '.*', read: '.*' },
  };
  const wish = options.definitions ?? {};
  const everywhere = [admin, ...(wish.users ?? [])];
  await writeNodeFiles(directory, record, { ...wish, users: everywhere }, options.settings ?? []);
  const started = Date.now();
  const node = await spawnNode(program, directory, record, options.temporary ?? false);
  await untilReady(node, directory, options.bootTimeout ?? 120_000, options.signal);
  await markReady(directory);
  node.child.unref();
  (options.log ?? silentLogger).info(`Private broker ready on port ${record.port}.`, {
    seconds: (Date.now() - started) / 1000,
  });
  return node;
}

async function end(node: Node, grace: number): Promise<void> {
  node.child.ref();
  if (grace > 0) {
    signalGroup(node.pid, 'SIGTERM');
    const timer = new AbortController();
    const late = delay(grace, undefined, { signal: timer.signal }).catch(() => undefined);
    await Promise.race([node.ended, late]);
    timer.abort();
  }
  if (running.has(node.pid)) signalGroup(node.pid, 'SIGKILL');
  await node.ended;
}

/**
 * Boots a private node and resolves when it serves connections. Throws FatalError when RabbitMQ is not installed,
 * when the directory cannot be written, and when the node does not come up (with the end of its log).
 */
export async function startBroker(options: BrokerOptions): Promise<PrivateBroker> {
  const program = brokerProgram();
  if (program === undefined)
    throw new FatalError(
      `RabbitMQ is not installed (looked in ${roots.join(', ')}); install the package rabbitmq-server, for example: apt-get install rabbitmq-server`,
    );
  const directory = resolve(options.directory);
  const record = await planNode(directory, {
    port: options.port,
    management: options.management ?? false,
    adminPassword: options.adminPassword,
  });
  let node: Node | undefined = await boot(program, directory, record, options);
  const endNode = async (grace: number): Promise<void> => {
    const ending = node;
    node = undefined;
    if (ending !== undefined) await end(ending, grace);
  };
  const start = async (): Promise<void> => {
    await endNode(0);
    node = await boot(program, directory, record, options);
  };
  return {
    directory,
    host: '127.0.0.1',
    port: record.port,
    managementPort: record.managementPort,
    adminUser: 'admin',
    adminPassword: record.adminPassword,
    adminUrl: `amqp://admin:${encodeURIComponent(record.adminPassword)}@127.0.0.1:${record.port}/`,
    pid: () => (node !== undefined && running.has(node.pid) ? node.pid : undefined),
    logTail: () => tail(directory),
    stop: () => endNode(2500),
    kill: () => endNode(0),
    start,
    restart: async () => {
      await endNode(2500);
      await start();
    },
  };
}
