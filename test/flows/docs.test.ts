/**
 * Runs the commands of the documents, in their order, as their reader would.
 *
 * What is replaced, and nothing else: the pump and the web server of the examples by real ones of this test; the
 * directories `/data`, `/tmp/pump`, `/var/www/data` and `DIR` by directories of this test; the port numbers of the
 * quickstart by those its first screen shows; the editor by one that writes the `conf` block of the same name. npm is
 * run in the clone, everything else in an empty directory. What a reader would end with Ctrl-C runs beside the
 * commands that follow, and is ended with it (SIGINT) before the next heading.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  chmod,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { account, pumpDefinitions } from '../../src/quickstart/accounts.js';
import { type FileServer, startFileServer } from '../../src/quickstart/file-server.js';
import type { PrivateBroker } from '../../src/quickstart/private-broker.js';
import { type Block, commandsOf, fileOf, packageDirectory, readPage } from '../docs/markdown.js';
import { type TestHost, eventually, ownBroker, testHost } from '../servers/rabbitmq.js';

const alice = account('alice', 'source');
const bob = account('bob', 'subscriber');
const anonymous = { ...account('anonymous', 'subscriber'), password: 'anonymous' };
let broker: PrivateBroker & { readonly discard: () => Promise<void> };
let host: TestHost;
let scratch: string;
let site: string;
let server: FileServer;

beforeAll(async () => {
  // Paths stand in commands without quotes, so there is no space in them.
  scratch = await mkdtemp(join(tmpdir(), 'sarra-docs-'));
  site = join(scratch, 'site');
  await put(join(site, 'model/gfs/00/wind.grib2'), 'a field of wind');
  await put(join(site, 'model/gfs/00/readme.txt'), 'not a grid');
  await put(join(site, 'results/one.txt'), 'b\na\n');
  server = await startFileServer(site);
  broker = await ownBroker({ definitions: pumpDefinitions([alice, bob, anonymous]) });
  host = await testHost(broker, '/');
  const channel = await host.channel();
  // What the daemons of a pump would do: posts become public, records go to the source.
  await channel.bindExchange('xpublic', 'xs_alice', 'v02.post.#');
  await channel.bindExchange('xl_alice', 'xs_anonymous', 'v02.log.#');
});
afterAll(async () => {
  await server.stop();
  await broker.discard();
  await rm(scratch, { recursive: true, force: true });
});

async function put(file: string, text: string, mode = 0o600): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(file, text, { mode });
  await chmod(file, mode);
}

/** Where the commands of one document are run. */
interface Place {
  readonly directory: string;
  readonly home: string;
  readonly environment: NodeJS.ProcessEnv;
  /** The replacements above. */
  readonly here: (text: string) => string;
  readonly ports: Map<string, string>;
}

async function makePlace(name: string, blocks: readonly Block[]): Promise<Place> {
  const directory = join(scratch, name);
  const home = join(directory, 'home');
  const bin = join(directory, 'bin');
  await mkdir(join(directory, 'work'), { recursive: true });
  await mkdir(join(directory, 'data'), { recursive: true });
  await mkdir(join(directory, 'npm/lib'), { recursive: true });
  await mkdir(bin);
  for (const program of await readdir(join(packageDirectory, 'bin'))) {
    await symlink(join(packageDirectory, 'bin', program), join(bin, program.replace(/\.js$/u, '')));
  }
  const ports = new Map<string, string>();
  const here = (text: string): string =>
    [...ports].reduce(
      (done, [shown, real]) => done.replaceAll(shown, real),
      text
        .replaceAll(/amqps:\/\/(\w+)@pump\.example\.org/gu, `amqp://$1@127.0.0.1:${broker.port}`)
        .replaceAll(/https:\/\/data\.example\.org\//gu, server.url)
        .replaceAll(/\/var\/www\/data|\bDIR\b/gu, site)
        .replaceAll('/tmp/pump', join(directory, 'pump'))
        .replaceAll(/(?<![\w.])\/data(?![\w.])/gu, join(directory, 'data')),
    );
  const config = join(home, '.config/sarra');
  const credentials = [alice, bob].map(
    (user) => `amqp://${user.name}:${user.password}@127.0.0.1:${broker.port}/\n`,
  );
  if (name !== 'quickstart') await put(join(config, 'credentials.conf'), credentials.join(''));
  else await mkdir(home, { recursive: true });
  for (const block of blocks) {
    const file = fileOf(block);
    if (file === undefined) continue;
    const target = file.startsWith('plugins/') ? join(config, file) : join(directory, 'typed', file);
    await put(target, here(block.text), file.startsWith('plugins/') ? 0o755 : 0o600);
  }
  const editor = join(directory, 'editor');
  await put(editor, `#!/bin/sh\ncp "${directory}"/typed/*/"$(basename "$1")" "$1"\n`, 0o755);
  const environment = {
    PATH: [join(directory, 'npm/bin'), ...(name === 'quickstart' ? [] : [bin]), process.env['PATH']].join(
      ':',
    ),
    HOME: home,
    LANG: 'C.UTF-8',
    TZ: 'UTC',
    XDG_CONFIG_DIRS: join(directory, 'no-site'),
    EDITOR: editor,
    npm_config_prefix: join(directory, 'npm'),
    npm_config_update_notifier: 'false',
  };
  return { directory, home, environment, here, ports };
}

interface Process {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly ended: Promise<number | null>;
}

/** Directory and environment last from one command to the next, as in the shell of a reader. */
function launch(place: Place, command: string, isForever: boolean): Process {
  const memory = join(place.directory, 'shell');
  const script = [
    existsSync(memory) ? `. '${memory}'` : `cd '${join(place.directory, 'work')}'`,
    ...(command.startsWith('npm ') ? [`cd '${packageDirectory}'`] : []),
    isForever
      ? `exec ${command}`
      : `${command}\nstatus=$?\necho "cd '$PWD'" >'${memory}'\nexport -p >>'${memory}'\nexit $status`,
  ].join('\n');
  const words = command.startsWith('npm ') ? script.replace(/echo "cd[^\n]*\n[^\n]*\n/u, '') : script;
  const child = spawn('/bin/sh', ['-c', words], {
    env: place.environment,
    cwd: place.directory,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, output: () => output, ended };
}

const signalGroup = ({ child }: Process, signal: NodeJS.Signals): void => {
  try {
    process.kill(-(child.pid ?? 0), signal);
  } catch {
    // It has ended by itself.
  }
};

/** Commands that a reader ends with Ctrl-C. */
const isForever = (command: string): boolean =>
  /^npm start .*--keep/u.test(command) ||
  /\bsr_subscribe log\b/u.test(command) ||
  (/\bsr_(?:subscribe|log|report)\b.*\bforeground\b/su.test(command) && !command.includes('--once'));

/** Resolves when what it waits for can come: for a subscriber, when the broker has its queue and it reads from it. */
async function untilReady(place: Place, command: string, running: Process): Promise<void> {
  let over = false;
  void running.ended.then(() => (over = true));
  const says = async (pattern: RegExp): Promise<RegExpExecArray> => {
    let found: RegExpExecArray | null = null;
    await eventually(
      `${command} says ${pattern.source}`,
      () => (found = pattern.exec(running.output())) !== null || over,
    );
    if (found === null) throw new Error(`${command} ended:\n${running.output()}`);
    return found;
  };
  if (command.startsWith('npm ')) {
    const [, brokerUrl = ''] = await says(/broker {2}amqp:\/\/(\S+?)\//u);
    const [, files = ''] = await says(/files {3}http:\/\/(\S+?)\//u);
    place.ports.set('127.0.0.1:19294', brokerUrl).set('127.0.0.1:41925', files);
    await says(/stays up until/u);
  } else if (/\bsr_subscribe log\b/u.test(command)) await says(/\[INFO\]/u);
  else if (place.ports.size > 0) await says(/keeps messages/u);
  else {
    const [, queue = ''] = await says(/queue (\S+) on \S+ keeps messages/u);
    await eventually(`${queue} is read`, async () => {
      const looked = await (await host.channel()).checkQueue(queue).catch(() => undefined);
      return (looked?.consumerCount ?? 0) > 0;
    });
  }
}

/** What must be so at the end of a section, while what runs for ever still runs. */
type Proofs = Readonly<Record<string, (place: Place, running: readonly Process[]) => Promise<void>>>;

async function follow(file: string, name: string, proofs: Proofs): Promise<Place> {
  const { blocks } = await readPage(file);
  const place = await makePlace(name, blocks);
  const commands = blocks
    .filter(({ language, notRun }) => language === 'sh' && notRun === undefined)
    .flatMap((block) => commandsOf(block).map((command) => ({ command, block })));
  let beside: { command: string; running: Process }[] = [];
  const proven = new Set<string>();
  const closeSection = async (heading: string): Promise<void> => {
    await proofs[heading]?.(
      place,
      beside.map(({ running }) => running),
    );
    proven.add(heading);
    const isTour = (command: string): boolean => command.startsWith('npm ');
    for (const { command, running } of beside.filter((one) => !isTour(one.command))) {
      signalGroup(running, 'SIGINT');
      expect(await running.ended, `${command}\n${running.output()}`).toBe(0);
    }
    beside = beside.filter((one) => isTour(one.command));
  };
  try {
    let heading: string | undefined;
    for (const { command, block } of commands) {
      if (heading !== undefined && heading !== block.heading) await closeSection(heading);
      heading = block.heading;
      const words = place.here(command);
      const running = launch(place, words, isForever(command));
      if (isForever(command)) {
        beside.push({ command, running });
        await untilReady(place, words, running);
      } else {
        expect(await running.ended, `${file}:${block.line}: ${words}\n${running.output()}`).toBe(0);
      }
    }
    if (heading !== undefined) await closeSection(heading);
    expect(Object.keys(proofs).filter((key) => !proven.has(key))).toEqual([]);
    for (const { running } of beside) {
      signalGroup(running, 'SIGINT');
      await running.ended;
      expect(running.output()).toContain('has been stopped');
    }
  } finally {
    for (const { running } of beside) signalGroup(running, 'SIGKILL');
    await stopDaemons(place);
  }
  return place;
}

/** Daemons that a failed test left running. */
async function stopDaemons(place: Place): Promise<void> {
  if (!existsSync(join(place.home, '.cache/sarra'))) return;
  await launch(place, 'sr_subscribe stop; sr_sender stop', false).ended;
}

/** Alice posts a part of the site, by the program a reader would use. */
async function postSite(place: Place, part: string): Promise<void> {
  const words = `sr_post --post_broker amqp://alice@127.0.0.1:${broker.port} --post_base_url ${server.url} --post_base_dir ${site} ${site}/${part}`;
  const running = launch(place, words, false);
  expect(await running.ended, running.output()).toBe(0);
}

describe('the commands of the documents', () => {
  it('of the README do what it says', async () => {
    await follow('README.md', 'readme', {
      'Use it': async (place, running) => {
        const fetched = join(place.directory, 'work/wind.grib2');
        await eventually('the file is fetched', () => existsSync(fetched));
        expect(await readFile(fetched, 'utf8')).toBe('a field of wind');
        expect(existsSync(join(place.directory, 'work/readme.txt'))).toBe(false);
        await eventually('the record is shown', () =>
          running.some(({ output }) => /201 .*Downloaded .*\/model\/gfs\/00\/wind\.grib2/u.test(output())),
        );
      },
    });
  });

  it('of the quickstart do what it says', async () => {
    const place = await follow('docs/quickstart.md', 'quickstart', {
      '2. Keep the pump, and play': async ({ directory }, running) => {
        await eventually('bob has the file', () => existsSync(join(directory, 'pump/mirror/hello.txt')));
        for (const record of [/201 .*feeder@.* \/hello\.txt/u, /201 .*bob@.* \/alice\/hello\.txt/u])
          await eventually(`alice sees ${record.source}`, () =>
            running.some(({ output }) => record.test(output())),
          );
      },
      '3. The same by hand': async ({ directory }) => {
        await eventually('bob has what is left', async () => {
          const got = await readdir(join(directory, 'pump/got')).catch(() => []);
          expect(got.sort()).toEqual(['tue.txt', 'wed.txt']);
          return true;
        });
      },
      '4. On a pump of others': async ({ home }) => {
        expect(existsSync(join(home, '.config/sarra/credentials.conf'))).toBe(true);
      },
    });
    expect(existsSync(join(place.directory, 'npm/bin/sr_subscribe'))).toBe(true);
  });

  it('of the page about posting do what it says', async () => {
    await host.queue('posted', 'xs_alice');
    await put(join(site, 'runs/run.grib'), '');
    await truncate(join(site, 'runs/run.grib'), 60 * 1024 * 1024);
    // Quiet for long: nobody has to wait for its end.
    await put(join(site, 'run.log'), 'a line\n');
    await utimes(join(site, 'run.log'), 1_700_000_000, 1_700_000_000);
    const depths: number[] = [];
    await follow('docs/poster.md', 'poster', {
      Spooling: async (place) => {
        depths.push(await host.depth('posted'));
        await put(
          join(place.home, '.config/sarra/post/model.conf'),
          place.here('post_broker amqps://alice@pump.example.org\npost_base_url https://data.example.org/\n'),
        );
        await broker.stop();
        const words = place.here(
          'sr_post --spool on -c model --post_base_dir /var/www/data /var/www/data/model',
        );
        const running = launch(place, words, false);
        expect(await running.ended, running.output()).toBe(0);
        await broker.start();
        depths.push(await host.depth('posted'));
      },
      'Getting it out': async () => {
        depths.push(await host.depth('posted'));
      },
    });
    // Two blocks, a file that has stopped growing, and two files directly; two kept while the broker was away; and
    // posted from the spool.
    expect(depths).toEqual([5, 5, 7]);
  });

  it('of the page about sending do what it says', async () => {
    const sent = (place: Place): Promise<string[]> =>
      readdir(join(place.directory, 'data/clinic'), { recursive: true }).then((names) => names.sort());
    const day = new Date().toISOString().slice(0, 10).replaceAll('-', '');
    await follow('docs/sender.md', 'sender', {
      'Try it on a disk': async (place) => {
        expect(await sent(place)).toEqual([]);
        await postSite(place, 'model');
      },
      Send: async (place) => {
        expect(await sent(place)).toEqual(['inbox', `inbox/${day}`, `inbox/${day}/wind.grib2`]);
      },
    });
  });

  it('of the guide for subscribers do what it says', async () => {
    await follow('docs/subscriber.md', 'subscriber', {
      'The first subscription': async (place, [look]) => {
        await postSite(place, 'model');
        await eventually('the address is printed', () =>
          (look?.output() ?? '').includes(`${server.url}model/gfs/00/wind.grib2\n`),
        );
        await eventually('the file is fetched', () =>
          existsSync(join(place.directory, 'data/gfs/wind.grib2')),
        );
      },
      'An ES module': async (place) => {
        await postSite(place, 'results');
        const words = 'sr_subscribe --once foreground results';
        const running = launch(place, words, false);
        expect(await running.ended, running.output()).toBe(0);
        expect(await readFile(join(place.directory, 'data/results/one.txt.sorted'), 'utf8')).toBe('a\nb\n');
        expect(running.output()).toMatch(/default: \S+\/data\/results\/one\.txt from http/u);
        expect(running.output()).toMatch(/sorted \S+one\.txt, 4 bytes/u);
      },
      'As a daemon': async (place) => {
        const left = await readdir(join(place.home, '.cache/sarra/subscribe'));
        expect(left).not.toContain('gfs');
      },
    });
  });
});
