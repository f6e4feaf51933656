/** Where the measurements happen: one broker, one web server, one directory, and programs that are measured. */
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { homeVariables, programPath } from '../../src/quickstart/programs.js';
import { startPump } from '../../src/quickstart/pump.js';
import type { Pump, PumpUser } from '../../src/quickstart/pump.js';
import { startNginx } from '../servers/nginx.js';
import type { Nginx } from '../servers/nginx.js';
import type { Order } from './loop.js';
import { measure } from './measure.js';
import type { Command, Cost, Watched } from './measure.js';
import { openAdmin } from './messages.js';
import type { Admin, Template } from './messages.js';
import { makeTree } from './trees.js';

export interface Arena {
  readonly directory: string;
  readonly web: Nginx;
  readonly pump: Pump;
  readonly admin: Admin;
  /** The servers' process ids, of which the broker's is known while it runs. */
  readonly watched: Watched;
  /** A size of the measurements, made larger or smaller as the user wants it. */
  readonly sized: (full: number) => number;
  readonly note: (text: string) => void;
  /** Runs a command, beginning with a disk that has nothing left to write. */
  readonly measure: (command: Omit<Command, 'log'>) => Promise<Cost>;
  /** Runs one of our programs as a user, in a home that knows nothing of earlier runs. */
  readonly program: (home: string, program: string, words: readonly string[]) => Omit<Command, 'log'>;
  readonly loop: (order: Order) => Promise<Omit<Command, 'log'>>;
  /** A home of its own for a user; with the configuration `bench`, of sr_subscribe unless said otherwise, when options are given. */
  readonly home: (user: PumpUser, options?: readonly string[], component?: string) => Promise<string>;
  /** The URL of the broker for a user, with the password. */
  readonly login: (user: PumpUser) => Promise<string>;
  /** A new directory. */
  readonly scratch: (name: string) => Promise<string>;
  /** What sr_post announces with this checksum. */
  readonly template: (sum: 'd' | 'n', baseUrl: string) => Promise<Template>;
  readonly close: () => Promise<void>;
}

export const configuration = 'bench';

const noLog = { log: '/dev/null' };

const program = (home: string, name: string, words: readonly string[]): Omit<Command, 'log'> => ({
  program: process.execPath,
  words: [programPath(name), ...words],
  env: homeVariables(home),
  cwd: home,
});

async function makeHome(
  directory: string,
  user: PumpUser,
  options?: readonly string[],
  component = 'subscribe',
): Promise<string> {
  const home = await mkdtemp(join(directory, `home-${user.name}-`));
  await cp(user.home, home, { recursive: true });
  if (options !== undefined) {
    const configurations = join(home, 'config', 'sarra', component);
    await mkdir(configurations, { recursive: true });
    await writeFile(join(configurations, `${configuration}.conf`), `${options.join('\n')}\n`);
  }
  return home;
}

async function takeTemplate(
  { pump, admin, directory }: Pick<Arena, 'pump' | 'admin' | 'directory'>,
  sum: string,
  baseUrl: string,
): Promise<Template> {
  const queue = 'template';
  const root = await mkdtemp(join(directory, 'template-'));
  await makeTree(root, 1, 1);
  const home = await makeHome(directory, pump.alice);
  await admin.queue(queue, 'xs_alice', 'v02.post.#');
  const posting = ['--post_broker', pump.alice.brokerUrl, '--post_base_url', baseUrl];
  await measure({
    ...program(home, 'sr_post', ['--sum', sum, ...posting, '--post_base_dir', root, root]),
    ...noLog,
  });
  const found = await admin.template(queue);
  await admin.drop(queue);
  return found;
}

export interface ArenaOptions {
  /** Source and target of all copies are below it; the directory for temporary files unless given. */
  readonly directory: string | undefined;
  readonly scale: number;
  readonly note: (text: string) => void;
}

export async function openArena({ directory: parent, scale, note }: ArenaOptions): Promise<Arena> {
  const directory = await mkdtemp(join(parent ?? tmpdir(), 'sarracenia-bench-'));
  const web = await startNginx({ directory, listsRequests: false });
  const pump = await startPump({ directory, temporary: true });
  const admin = await openAdmin(pump.broker.adminUrl);
  const watched = { broker: pump.broker.pid(), web: web.pid };
  let logs = 0;
  return {
    directory,
    web,
    pump,
    admin,
    watched,
    sized: (full) => Math.max(1, Math.round(full * scale)),
    note,
    program,
    measure: (command) => {
      execFileSync('sync', ['--file-system', directory]);
      logs += 1;
      return measure({ ...command, log: join(directory, `${logs}.log`) }, watched);
    },
    loop: async (order) => {
      const file = join(directory, 'loop.json');
      await writeFile(file, JSON.stringify(order), { mode: 0o600 });
      return { program: process.execPath, words: [join(import.meta.dirname, 'loop.js'), file] };
    },
    home: (user, options, component) => makeHome(directory, user, options, component),
    login: async ({ home }) =>
      (await readFile(join(home, 'config', 'sarra', 'credentials.conf'), 'utf8')).trim(),
    scratch: (name) => mkdtemp(join(directory, `${name}-`)),
    template: (sum, baseUrl) => takeTemplate({ pump, admin, directory }, sum, baseUrl),
    close: async () => {
      await admin.close();
      await pump.stop();
      await web.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
