import { chmod, mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { vectorsOf, type Vector } from '../message/vectors.js';
import { listen, type Heard, type Listener } from '../servers/listener.js';
import { brokerOf, makeHome, type Ended, type Home } from '../servers/programs.js';
import { testHost, type TestHost, type TestUser } from '../servers/rabbitmq.js';

/*
 * What sr_post has to say about a file is written down message by message. Every tree is made anew, every vector has
 * a user and so an exchange of its own, and what the program puts on the wire is compared field by field.
 */

interface PostInput {
  readonly event: 'create/modify' | 'symlink' | 'delete' | 'rename';
  readonly path: string;
  readonly newpath?: string;
  readonly options: Readonly<Record<string, string | readonly string[]>>;
}

interface Expected {
  readonly exchange: string;
  readonly topic: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly properties?: Heard['properties'];
}

/** Those that the program has to reproduce; some of those "to be accepted" are also just what ours does. */
const alsoOurs = new Set(['P04', 'P32', 'P39', 'P44']);

const wanted = vectorsOf('post').filter(({ id, use }) => use === 'emit' || alsoOurs.has(id));

const inputOf = (vector: Vector): PostInput => vector.input as unknown as PostInput;
const letters = 'abcdefghijklmnopqrstuvwxyz';
const mtime = new Date('2016-01-15T12:34:56.250Z');
const atime = new Date('2016-01-15T12:34:56.500Z');

const contents: Readonly<Record<string, string>> = {
  empty: '',
  'alpha.10.3.6.2.d.Part': 'uvwxyz',
  'alpha.10.3.6.1.d.Part': 'uvwxyz',
  'alpha.10.3.6.3.d.Part': 'uvwxyz',
  'al.pha.txt.10.3.6.1.s.Part': 'klmnopqrst',
};

async function makeFile(path: string): Promise<void> {
  const name = path.slice(path.lastIndexOf('/') + 1);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, contents[name] ?? letters);
  await chmod(path, name === 'suid' ? 0o4755 : 0o644);
  await utimes(path, atime.getTime() / 1000, mtime.getTime() / 1000 + 5e-7);
}

/** Makes what the vector is about, and says which words make the program announce it. */
async function arrange({ event, path, newpath }: PostInput, root: string): Promise<readonly string[]> {
  const at = join(root, path);
  if (event === 'delete') {
    await mkdir(dirname(at), { recursive: true });
    return ['--events', 'delete', at];
  }
  if (event === 'symlink') {
    await mkdir(dirname(at), { recursive: true });
    await symlink(path.endsWith('lnk2') ? 'x'.repeat(255) : 'toto', at);
    return [at];
  }
  if (event === 'rename' && newpath !== undefined) {
    const to = join(root, newpath);
    // A directory is known by what is in it.
    await makeFile(newpath === '/srv/pub/mv2' ? join(to, 's/one') : to);
    return ['--move', at, to];
  }
  await makeFile(at);
  return [at];
}

const wordsOf = (options: PostInput['options'], root: string, broker: string): string[] =>
  Object.entries(options).flatMap(([name, value]) => {
    if (name === 'post_broker') return [`--${name}`, broker];
    if (name === 'post_base_dir') return [`--${name}`, join(root, String(value))];
    return (typeof value === 'string' ? [value] : value).flatMap((one) => [`--${name}`, one]);
  });

interface Outcome {
  readonly ended: Ended;
  readonly heard: readonly Heard[];
  readonly expected: readonly Expected[];
}

/** The expectation, with our user, our broker and our tree, and times of three digits. */
function expectedOf(vector: Vector, user: string, root: string): readonly Expected[] {
  const { messages } = vector.output as unknown as { messages: readonly Expected[] };
  const hasBase = inputOf(vector).options['post_base_dir'] !== undefined;
  return messages.map((message) => ({
    ...message,
    exchange: message.exchange.replace('xs_alice', `xs_${user}`),
    topic: hasBase
      ? message.topic
      : message.topic.replace('.srv.pub', `${root.replaceAll('/', '.')}.srv.pub`),
    body: hasBase ? message.body : message.body.replace(' /srv/pub', ` ${root}/srv/pub`),
    headers: Object.fromEntries(
      Object.entries(message.headers).map(([name, value]) => {
        if (name === 'to_clusters' && value === 'localhost') return [name, '127.0.0.1'];
        return [name, name === 'mtime' || name === 'atime' ? value.replace(/\.(\d+)$/u, threeDigits) : value];
      }),
    ),
  }));
}

const threeDigits = (_whole: string, digits: string): string => `.${digits.padEnd(3, '0').slice(0, 3)}`;

async function runVector(vector: Vector, host: TestHost, home: Home, user: TestUser): Promise<Outcome> {
  const root = join(home.directory, vector.id);
  const input = inputOf(vector);
  const expected = expectedOf(vector, user.name, root);
  const exchanges = new Set([`xs_${user.name}`, ...expected.map(({ exchange }) => exchange)]);
  const listeners: Listener[] = [];
  for (const exchange of exchanges) {
    await host.exchange(exchange);
    listeners.push(await listen(host, exchange));
  }
  const paths = await arrange(input, root);
  const words = [...wordsOf(input.options, root, brokerOf(host, user)), ...paths];
  const ended = await home.run('sr_post', words);
  await Promise.all(listeners.map((listener) => listener.settle()));
  return { ended, heard: listeners.flatMap((listener) => listener.all()), expected };
}

const date = /^\d{14}\.\d{3}$/u;

describe('sr_post puts on the wire what is written down', () => {
  let host: TestHost;
  let home: Home;
  const outcomes = new Map<string, Outcome>();

  beforeAll(async () => {
    host = await testHost();
    const users: TestUser[] = [];
    for (const { id } of wanted) users.push(await host.user(`alice-${id.toLowerCase()}-`));
    home = await makeHome(host, users);
    const queue = wanted.map((vector, index) => ({ vector, user: users[index] }));
    const work = async (): Promise<void> => {
      for (let next = queue.shift(); next?.user !== undefined; next = queue.shift()) {
        outcomes.set(next.vector.id, await runVector(next.vector, host, home, next.user));
      }
    };
    await Promise.all([work(), work(), work()]);
  });

  afterAll(async () => {
    await home.remove();
    await host.remove();
  });

  it('in all the cases there are', () => {
    expect(wanted.length).toBeGreaterThan(35);
    expect(outcomes.size).toBe(wanted.length);
  });

  it.each(wanted.map((vector) => [vector.id, vector.note ?? '', vector] as const))(
    '%s %s',
    (id, _note, vector) => {
      const outcome = outcomes.get(id);
      if (outcome === undefined) throw new Error('was not run');
      const { ended, heard, expected } = outcome;
      expect(heard.length, ended.stderr).toBe(expected.length);
      expect(ended.code, ended.stderr).toBe(expected.length === 0 ? 1 : 0);
      expected.forEach((want, index) => {
        const got = heard[index];
        expect(got?.exchange).toBe(want.exchange);
        expect(got?.topic).toBe(want.topic);
        const [when = '', base, ...path] = (got?.body ?? '').split(' ');
        expect(when).toMatch(date);
        expect(['<date>', base, ...path].join(' ')).toBe(want.body);
        expect(got?.headers).toEqual(anyWhere(want.headers));
        expect(got?.properties).toEqual(
          want.properties ?? { content_type: 'text/plain', content_encoding: 'utf-8', delivery_mode: 2 },
        );
      });
      if (inputOf(vector).event === 'rename') {
        // The halves come in their order, and both are told at about the same time.
        expect(heard.map(({ topic }) => topic)).toEqual(expected.map(({ topic }) => topic));
      }
    },
  );
});

/** Placeholders of the vectors match what they stand for. */
const anyWhere = (headers: Readonly<Record<string, string>>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => {
      if (value === '<atime>' || value === '<date>') return [name, expect.stringMatching(date)];
      if (value === '0,<digits>') return [name, expect.stringMatching(/^0,\d{4}$/u)];
      return [name, value];
    }),
  );
