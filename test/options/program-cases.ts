import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Home, brokerOf } from '../servers/programs.js';
import { type TestHost, type TestUser, api, eventually } from '../servers/rabbitmq.js';
import type { Name } from './lab.js';

/* Options that only whole programs and a real broker can show (test/flows/options.test.ts runs these). */

export interface Bench {
  readonly host: TestHost;
  readonly user: TestUser;
  readonly home: Home;
  /** Writes the configuration `c`, with what it needs to run. */
  readonly configure: (name: Name, ...lines: string[]) => Promise<string>;
  /** A file to announce. */
  readonly file: string;
}

export type ProgramCase = (bench: Bench, name: Name) => Promise<void>;

export const programOf: Readonly<Record<Name, string>> = {
  post: 'sr_post',
  subscribe: 'sr_subscribe',
  sarra: 'sr_sarra',
  sender: 'sr_sender',
  winnow: 'sr_winnow',
  shovel: 'sr_shovel',
  report: 'sr_report',
  '2xlog': 'sr_2xlog',
  log2source: 'sr_log2source',
  log2clusters: 'sr_log2clusters',
};

/** Runs `work` while a daemon runs. */
async function withDaemon(bench: Bench, name: Name, work: () => Promise<void>): Promise<void> {
  const program = programOf[name];
  const started = await bench.home.run(program, ['start', 'c']);
  expect(started.code, started.stderr + started.stdout).toBe(0);
  try {
    await work();
  } finally {
    await bench.home.run(program, ['stop', 'c']);
  }
}

const logsIn = async (directory: string): Promise<readonly string[]> => (await readdir(directory)).sort();

const action: ProgramCase = async ({ home, configure }, name) => {
  await configure(name);
  const shown = await home.run(programOf[name], ['-a', 'show', '-c', 'c']);
  expect(shown.code).toBe(0);
  expect(shown.stdout).toContain(`# ${programOf[name]} c, `);
};

const log: ProgramCase = async (bench, name) => {
  const directory = join(bench.home.directory, 'elsewhere');
  await bench.configure(name, `log ${directory}`);
  await withDaemon(bench, name, async () => {
    expect(await logsIn(directory)).toContain(`sr_${name}_c_01.log`);
  });
};

const chmodLog: ProgramCase = async (bench, name) => {
  const directory = join(bench.home.directory, 'logs');
  await bench.configure(name, `log ${directory}`, 'chmod_log 640');
  await withDaemon(bench, name, async () => {
    const { mode } = await stat(join(directory, `sr_${name}_c_01.log`));
    expect(mode & 0o777).toBe(0o640);
  });
};

/** Watches rotated files until the third has been seen. */
const logrotate: ProgramCase = async (bench, name) => {
  const directory = join(bench.home.directory, 'logs');
  const lines = ['heartbeat 0.2', 'logrotate 1', 'logrotate_interval 1'];
  await bench.configure(name, `log ${directory}`, ...lines);
  await withDaemon(bench, name, async () => {
    const seen = new Set<string>();
    await eventually('three rotations', async () => {
      const rotated = (await logsIn(directory)).filter((file) => file.startsWith(`sr_${name}_c_01.log.`));
      expect(rotated.length).toBeLessThanOrEqual(2);
      for (const file of rotated) seen.add(file);
      return seen.size >= 3 && rotated.length === 1;
    });
  });
};

const logFormat: ProgramCase = async (bench, name) => {
  await bench.configure(name, 'log_format json', 'loglevel info', 'prefetch_of_nobody 1');
  const words = name === 'post' ? ['-c', 'c', bench.file] : ['--once', 'foreground', 'c'];
  const { stderr } = await bench.home.run(programOf[name], words);
  const line = stderr.split('\n').find((one) => one.includes('prefetch_of_nobody'));
  expect(JSON.parse(line ?? '')).toMatchObject({ program: `sr_${name}`, configuration: 'c' });
};

const statehost: ProgramCase = async (bench, name) => {
  await bench.configure(name, 'statehost fqdn', 'hostname state.example.org', 'suppress_duplicates on');
  const state = join(bench.home.state, 'state.example.org', name, 'c');
  if (name === 'post') await bench.home.run('sr_post', ['-c', 'c', bench.file]);
  else await bench.home.run(programOf[name], ['setup', 'c']);
  expect((await stat(state)).isDirectory()).toBe(true);
  expect(hostname()).not.toBe('state.example.org');
};

interface Row {
  readonly instances: { readonly running: number };
  readonly details: { readonly instances: readonly { readonly pid: number }[] } | null;
}

async function statusOf(bench: Bench, name: Name): Promise<Row> {
  const { stdout } = await bench.home.run(programOf[name], ['--json', 'status', 'c']);
  const [row] = JSON.parse(stdout) as Row[];
  if (row === undefined) throw new Error('status said nothing');
  return row;
}

const instances: ProgramCase = async (bench, name) => {
  await bench.configure(name, 'instances 2');
  await withDaemon(bench, name, async () => {
    // Records are shown by one process, whatever is written.
    expect((await statusOf(bench, name)).instances.running).toBe(name === 'report' ? 1 : 2);
  });
};

const sharedProcess: ProgramCase = async ({ home, configure }, name) => {
  const places: unknown[] = [];
  for (const line of ['shared_process off', 'shared_process on']) {
    await configure(name, line);
    const started = await home.run('sr', ['start', `${name}/c`]);
    expect(started.code, started.stderr).toBe(0);
    const { stdout } = await home.run('sr', ['status', '--json', `${name}/c`]);
    const [row] = JSON.parse(stdout) as { readonly process: { readonly place: unknown } }[];
    places.push(row?.process.place);
    expect((await home.run('sr', ['stop'])).code).toBe(0);
  }
  expect(places).toEqual(['own', 1]);
};

const no: ProgramCase = async (bench, name) => {
  await bench.configure(name);
  await withDaemon(bench, name, async () => {
    const supervisor = bench.home.start(programOf[name], ['log', 'c', '--no', '0']);
    await supervisor.line(/1 instance\(s\)/);
    await supervisor.stop();
    const second = await bench.home.run(programOf[name], ['log', 'c', '--no', '7']);
    expect(second.stderr).toContain(`sr_${name}_c_07.log: there is no log yet`);
  });
};

const sanityLogDead: ProgramCase = async (bench, name) => {
  await bench.configure(name, 'sanity_log_dead 3');
  await withDaemon(bench, name, async () => {
    const pid = (await statusOf(bench, name)).details?.instances[0]?.pid ?? 0;
    expect(pid).toBeGreaterThan(0);
    process.kill(pid, 'SIGSTOP');
    const file = join(bench.home.state, 'log', `sr_${name}_c_00.log`);
    const isReplaced = async (): Promise<boolean> =>
      (await readFile(file, 'utf8')).includes('instance 1 has been silent for 3 s: it is replaced');
    await eventually('the instance is replaced', isReplaced);
  });
};

/** How many messages are in hand of a program that never finishes one. */
const prefetch: ProgramCase = async (bench, name) => {
  const hook = name === 'report' ? 'on_report' : 'on_message';
  await bench.home.plugin('never.mjs', `export const ${hook} = () => new Promise(() => undefined);`);
  const queue = `q_${bench.user.name}.waiting`;
  await bench.configure(name, `queue_name ${queue}`, 'prefetch 3', `${hook} never.mjs`);
  expect((await bench.home.run(programOf[name], ['setup', 'c'])).code).toBe(0);
  await publish(bench, name, 9);
  // Ended by force with the home: a stop would wait for what never ends.
  bench.home.start(programOf[name], ['foreground', 'c']);
  await eventually('three are taken', async () => (await bench.host.unacknowledged(queue)) === 3);
  expect(await bench.host.depth(queue)).toBe(6);
};

async function publish({ host, user }: Bench, name: Name, count: number): Promise<void> {
  for (let number = 0; number < count; number += 1) {
    const path = `20160120070000.123 file: /nowhere/${number}`;
    const headers = { parts: '1,1,1,0,0', sum: `d,${'0'.repeat(32)}`, message: 'Downloaded' };
    if (name === 'report')
      await host.publish(`xr_${user.name}`, 'v02.report', `${path} 201 host user 1.0`, headers);
    else await host.publish('xpublic', 'v02.post', path, headers);
  }
}

const reset: ProgramCase = async (bench, name) => {
  if (name === 'post') {
    await bench.configure(name, 'suppress_duplicates on', 'post_exchange xpublic');
    const posted = async (...words: string[]): Promise<number> => {
      await bench.home.run('sr_post', ['-c', 'c', ...words, bench.file]);
      return (await bench.host.messages('q_look')).length;
    };
    await bench.host.queue('q_look', 'xpublic');
    expect(await posted()).toBe(1);
    expect(await posted()).toBe(0);
    expect(await posted('--reset')).toBe(1);
    return;
  }
  const queue = `q_${bench.user.name}.reset`;
  await bench.configure(name, `queue_name ${queue}`, 'report_back off');
  expect((await bench.home.run(programOf[name], ['setup', 'c'])).code).toBe(0);
  await publish(bench, name, 2);
  await eventually('two wait', async () => (await bench.host.depth(queue)) === 2);
  const ran = await bench.home.run(programOf[name], ['--reset', '--once', 'foreground', 'c']);
  expect(ran.code, ran.stderr).toBe(0);
  expect(await bench.host.depth(queue)).toBe(0);
  expect(ran.stdout).not.toContain('/nowhere/');
  expect(ran.stderr).not.toContain('/nowhere/');
  // It is bound again.
  await publish(bench, name, 1);
  await eventually('one waits', async () => (await bench.host.depth(queue)) === 1);
};

const declareExchange: ProgramCase = async (bench, name) => {
  const exists = async (exchange: string): Promise<boolean> => {
    const { broker, vhost } = bench.host;
    const all = (await api(broker, 'GET', `exchanges/${encodeURIComponent(vhost)}`)) as { name: string }[];
    return all.some((one) => one.name === exchange);
  };
  const words = name === 'post' ? ['-c', 'c', bench.file] : ['--once', 'foreground', 'c'];
  const posting = [`post_broker ${brokerOf(bench.host, bench.user)}`, 'accept .*'];
  await bench.configure(name, ...posting, 'post_exchange xnew', 'declare_exchange off');
  await bench.home.run(programOf[name], words);
  expect(await exists('xnew')).toBe(false);
  await bench.configure(name, ...posting, 'post_exchange xnew', 'declare_exchange on');
  await bench.home.run(programOf[name], words);
  expect(await exists('xnew')).toBe(true);
};

const pipe: ProgramCase = async (bench, name) => {
  await bench.configure(name, 'post_exchange xpublic', 'pipe on');
  await bench.host.queue('q_pipe', 'xpublic');
  await bench.home.run('sr_post', ['-c', 'c'], { input: `${bench.file}\n` });
  expect(await bench.host.messages('q_pipe')).toHaveLength(1);
};

const durability: ProgramCase = async (bench, name) => {
  await bench.configure(name, 'post_exchange xpublic', 'durability power', 'suppress_duplicates on');
  await bench.host.queue('q_durable', 'xpublic');
  await writeFile(bench.file, 'again');
  const words = ['-c', 'c', bench.file];
  expect((await bench.home.run('sr_post', words)).code).toBe(0);
  expect((await bench.home.run('sr_post', words)).code).toBe(0);
  expect(await bench.host.messages('q_durable')).toHaveLength(1);
};

/** What it knows of duplicates is still known to the next run. */
const durableTable: ProgramCase = async (bench, name) => {
  await bench.configure(
    name,
    'durability power',
    'suppress_duplicates on',
    `queue_name q_${bench.user.name}.table`,
  );
  await bench.host.exchange('xpassed');
  await bench.host.queue('q_durable', 'xpassed');
  expect((await bench.home.run(programOf[name], ['setup', 'c'])).code).toBe(0);
  for (let round = 0; round < 2; round += 1) {
    await publish(bench, name, 1);
    const ended = await bench.home.run(programOf[name], ['--once', 'foreground', 'c']);
    expect(ended.code, ended.stderr).toBe(0);
  }
  expect(await bench.host.messages('q_durable')).toHaveLength(1);
};

const spool: ProgramCase = async (bench) => {
  // Nobody listens there.
  await bench.configure('post', 'post_broker amqp://ann:secret@127.0.0.1:1/', 'spool on');
  const ended = await bench.home.run('sr_post', ['-c', 'c', bench.file]);
  expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
  expect(ended.stderr).toMatch(/; 1 kept on disk; 1 waiting in /);
};

const drain: ProgramCase = async (bench) => {
  await bench.configure('post', 'post_exchange xpublic');
  expect((await bench.home.run('sr_post', ['-c', 'c'])).code).toBe(2);
  const ended = await bench.home.run('sr_post', ['-c', 'c', '--drain']);
  expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
  expect(ended.stderr).toMatch(/^0 posts$/m);
};

const daemon: Readonly<Record<string, ProgramCase>> = {
  action,
  log_format: logFormat,
  log,
  chmod_log: chmodLog,
  logrotate,
  logrotate_interval: logrotate,
  statehost,
  instances,
  no,
  shared_process: sharedProcess,
  sanity_log_dead: sanityLogDead,
  prefetch,
  reset,
};

const passing = { ...daemon, declare_exchange: declareExchange, durability: durableTable };

/** A supervisor, and the queue that it resets, are the same whatever it supervises: that is shown with other programs. */
const supervised = Object.fromEntries(
  Object.entries(daemon).filter(([option]) => option !== 'prefetch'),
) as Readonly<Record<string, ProgramCase>>;

export const programCases: Readonly<Record<Name, Readonly<Record<string, ProgramCase>>>> = {
  subscribe: { ...daemon, declare_exchange: declareExchange },
  sarra: { ...daemon, declare_exchange: declareExchange },
  sender: { ...daemon, declare_exchange: declareExchange },
  winnow: passing,
  shovel: passing,
  report: daemon,
  '2xlog': supervised,
  log2source: supervised,
  log2clusters: { ...supervised, declare_exchange: declareExchange },
  post: {
    action,
    log_format: logFormat,
    statehost,
    reset,
    declare_exchange: declareExchange,
    pipe,
    spool,
    drain,
    durability,
  },
};
