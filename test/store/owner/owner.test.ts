import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PermanentError, RetryableError } from '../../../src/errors.js';
import { ask } from '../../../src/store/owner/ask.js';
import { frameOf, frameReader } from '../../../src/store/owner/frames.js';
import { isRecord } from '../../../src/store/engine/json-record.js';
import { findOwner, processStart } from '../../../src/store/owner/owner-file.js';
import { becomeOwner, type Owner, type OwnerOptions } from '../../../src/store/owner/owner.js';
import { connectStore } from '../../../src/store/owner/remote-store.js';

let directory: string;
const owners: Owner[] = [];

async function own(where = directory, options: OwnerOptions = {}): Promise<Owner> {
  const owner = await becomeOwner(where, options);
  if (owner === undefined) throw new Error('somebody else owns it');
  owners.push(owner);
  return owner;
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'owner-'));
});
afterEach(async () => {
  await Promise.all(owners.splice(0).map((owner) => owner.close()));
  await rm(directory, { recursive: true, force: true });
});

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

describe('becomeOwner', () => {
  it('makes a state directory that nobody else can read', async () => {
    const state = join(directory, 'a', 'b');
    const owner = await own(state);
    expect(await modeOf(state)).toBe(0o700);
    expect(await modeOf(join(state, 'store'))).toBe(0o700);
    expect(await modeOf(join(state, 'owner.json'))).toBe(0o600);
    expect(owner.socket).toBe(join(state, 'owner.sock'));
  });

  it('closes a directory that was open to others', async () => {
    const state = join(directory, 'open');
    await mkdir(state, { mode: 0o755 });
    await own(state);
    expect(await modeOf(state)).toBe(0o700);
  });

  it('refuses a second owner, and lets one in when the first has closed', async () => {
    const first = await own();
    expect(await becomeOwner(directory)).toBeUndefined();
    expect(await findOwner(directory)).toMatchObject({ pid: process.pid, socket: first.socket });
    await first.store.seen.commit('k', 60_000);
    await first.close();
    expect(await findOwner(directory)).toBeUndefined();
    expect(await readdir(directory)).toEqual(['store']);
    owners.length = 0;
    const second = await own();
    expect(await second.store.seen.claim('k', 60_000)).toBe('known');
  });

  it('stays the owner while it is suspended', async () => {
    const owner = await own(directory, { handlers: { who: async () => 'the first' } });
    await owner.suspend();
    expect(await becomeOwner(directory)).toBeUndefined();
    await owner.resume();
    expect(await ask(directory, 'who', null)).toEqual({ answer: 'the first' });
    const client = await connectStore(directory, { wait: 0 });
    await client.close();
  });

  it('closes although a client does not read its answers', async () => {
    const owner = await own();
    const retry = {
      exchange: 'x',
      topic: 't',
      headers: {},
      body: 'x'.repeat(4_000_000),
      contentType: undefined,
      paths: ['/a'],
      instant: Date.now(),
      firstFailure: Date.now(),
      tries: 1,
      reason: '',
    };
    await owner.store.retries.add(retry, 0);
    const socket = connect(owner.socket);
    const { token } = (await findOwner(directory)) ?? {};
    socket.write(frameOf(JSON.stringify({ token, pid: process.pid })));
    socket.write(frameOf(JSON.stringify([[1, 'take', [1], 1]])));
    await once(socket, 'readable');
    socket.pause();
    await owner.close();
    owners.length = 0;
    socket.destroy();
  });

  it('writes what was asked before it closes', async () => {
    const owner = await own();
    void owner.store.seen.commit('unawaited', 60_000);
    await owner.close();
    owners.length = 0;
    expect(await (await own()).store.seen.claim('unawaited', 60_000)).toBe('known');
  });

  it('is found although its directory has a name too long for a socket', async () => {
    const state = join(directory, 'x'.repeat(120), 'y'.repeat(120));
    const owner = await own(state, { handlers: { echo: async (body) => body } });
    expect(owner.socket.length).toBeLessThanOrEqual(103);
    expect(await modeOf(dirname(owner.socket))).toBe(0o700);
    expect(await ask(state, 'echo', 'hello')).toEqual({ answer: 'hello' });
    await rm(dirname(owner.socket), { recursive: true });
  });

  it('takes a directory over from an owner that left its announcement and socket behind', async () => {
    const started = await processStart(process.pid);
    const dead = {
      pid: process.pid,
      started: `${started}0`,
      token: 't',
      socket: join(directory, 'owner.sock'),
    };
    await writeFile(join(directory, 'owner.json'), JSON.stringify(dead));
    await writeFile(dead.socket, '');
    expect(await findOwner(directory)).toBeUndefined();
    await own();
    expect(await findOwner(directory)).toMatchObject({ pid: process.pid, started });
  });

  it.each(['', '{', '[]', '{"pid":"1"}', '{"pid":-1,"token":"t","socket":"s"}', '{"pid":1}'])(
    'reads no owner from %j',
    async (text) => {
      await writeFile(join(directory, 'owner.json'), text);
      expect(await findOwner(directory)).toBeUndefined();
    },
  );

  it('says what to do when the directory cannot be made', async () => {
    await writeFile(join(directory, 'file'), '');
    await expect(becomeOwner(join(directory, 'file', 'state'))).rejects.toMatchObject({
      name: 'FatalError',
      message: expect.stringContaining('state directory') as string,
    });
  });
});

describe('ask', () => {
  it('brings the answer of a handler, or its error by class', async () => {
    await own(directory, {
      handlers: {
        add: async (body) => (isRecord(body) ? Number(body['a']) + Number(body['b']) : undefined),
        none: async () => undefined,
        never: async () => new Promise<never>(() => undefined),
        later: async () => Promise.reject(new RetryableError('busy')),
        no: async () => Promise.reject(new PermanentError(403, 'forbidden')),
      },
    });
    expect(await ask(directory, 'add', { a: 1, b: 2 })).toEqual({ answer: 3 });
    expect(await ask(directory, 'none', null)).toEqual({ answer: null });
    await expect(ask(directory, 'later', null)).rejects.toMatchObject({
      name: 'RetryableError',
      message: 'busy',
    });
    await expect(ask(directory, 'no', null)).rejects.toMatchObject({ name: 'PermanentError', code: 403 });
    await expect(ask(directory, 'toString', null)).rejects.toMatchObject({ name: 'FatalError' });
    await expect(ask(directory, 'never', null, { timeout: 20 })).rejects.toMatchObject({
      name: 'RetryableError',
    });
  });

  it('answers nothing where nobody owns the directory', async () => {
    expect(await ask(directory, 'status', null)).toBeUndefined();
    await expect(connectStore(directory, { wait: 0 })).rejects.toMatchObject({ name: 'FatalError' });
  });

  it('loads none of the engine, so that a status is quick', async () => {
    const source = join(import.meta.dirname, '..', '..', '..', 'src', 'store');
    const met = new Set<string>();
    const follow = async (file: string): Promise<void> => {
      if (met.has(file)) return;
      met.add(file);
      const text = await readFile(file, 'utf8');
      for (const [, from = ''] of text.matchAll(
        /^(?:import|\} from|export)[^;]*?from '([^']+)'|^\} from '(.+)'/gm,
      )) {
        if (from.startsWith('.')) await follow(join(dirname(file), from.replace(/\.js$/, '.ts')));
        else met.add(from);
      }
    };
    await follow(join(source, 'owner', 'ask.ts'));
    expect([...met].filter((name) => !name.startsWith('/') && !name.startsWith('node:'))).toEqual([]);
    expect(met.has(join(source, 'owner', 'link.ts'))).toBe(true);
    expect(met.has(join(source, 'engine', 'level-engine.ts'))).toBe(false);
  });
});

describe('connectStore', () => {
  it('waits for an owner that is about to appear', async () => {
    const connecting = connectStore(directory);
    await own();
    const store = await connecting;
    expect(await store.seen.claim('k', 1000)).toBe('ours');
    await store.close();
    expect(store.lost.aborted).toBe(false);
  });

  it('loses an owner that closes', async () => {
    const owner = await own();
    const store = await connectStore(directory);
    const lost = once(store.lost, 'abort');
    await owner.close();
    owners.length = 0;
    await lost;
    await expect(store.retries.size()).rejects.toMatchObject({ name: 'FatalError' });
    await store.close();
  });

  it('carries a thousand questions of one turn, and a body of many megabytes', async () => {
    await own();
    const store = await connectStore(directory);
    const claims = Array.from({ length: 1000 }, (_, n) => store.seen.claim(`k${n % 900}`, 1000));
    const commits = Array.from({ length: 900 }, (_, n) => store.seen.commit(`k${n}`, 60_000));
    await Promise.all(commits);
    const answers = await Promise.all(claims);
    expect(answers.filter((answer) => answer === 'known')).toHaveLength(100);
    const retry = { exchange: 'x', topic: 't', headers: {}, contentType: undefined, paths: [], instant: 1 };
    const body = 'x'.repeat(8_500_000);
    for (let n = 0; n < 2; n += 1) {
      const topic = `t${n}`;
      await store.retries.add({ ...retry, topic, body, firstFailure: Date.now(), tries: 1, reason: '' }, n);
    }
    // An answer is bounded in bytes, not only in entries.
    const [first, ...rest] = await store.retries.take(3);
    expect(first?.body === body).toBe(true);
    expect(rest).toEqual([]);
    expect(await store.retries.take(3)).toHaveLength(1);
    await store.close();
  });
});

/** A client that speaks the frames itself. */
async function rawClient(
  owner: Owner,
  hello: unknown,
): Promise<{ socket: Socket; answers: unknown[]; closed: Promise<unknown> }> {
  const socket = connect(owner.socket);
  const answers: unknown[] = [];
  const read = frameReader((value) => answers.push(value));
  socket.on('data', read);
  socket.on('error', () => undefined);
  const closed = once(socket, 'close');
  socket.write(frameOf(JSON.stringify(hello)));
  return { socket, answers, closed };
}

describe('the socket of an owner', () => {
  it.each([{}, { token: 'wrong' }, [[1, 'size', []]], null])(
    'turns away who greets with %j',
    async (hello) => {
      const owner = await own();
      const { answers, closed } = await rawClient(owner, hello);
      await closed;
      expect(answers).toEqual([]);
    },
  );

  it.each(['1', '[1]', '[[1]]', '[["1","size",[]]]', '{}'])('turns away who asks %s', async (question) => {
    const owner = await own();
    const token = (await findOwner(directory))?.token;
    const { socket, closed } = await rawClient(owner, { token });
    socket.write(frameOf(question));
    await closed;
    expect(await owner.store.retries.size()).toMatchObject({ waiting: 0 });
  });

  it('turns away a frame without end', async () => {
    const owner = await own();
    const token = (await findOwner(directory))?.token;
    const { socket, closed } = await rawClient(owner, { token });
    socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x20]));
    await closed;
  });

  it('answers a wrong question with an error, and the next one well', async () => {
    const owner = await own();
    const token = (await findOwner(directory))?.token;
    const { socket, answers } = await rawClient(owner, { token });
    socket.write(frameOf('[[1,"claim",[5,"x"]],[2,"nonsense",[]],[3,"again",["x",null]],[4,"size",[]]]'));
    await expect.poll(() => answers.slice(1).flat()).toHaveLength(4);
    const bySequence = new Map(
      answers
        .slice(1)
        .flat()
        .map((answer) => [(answer as unknown[])[0], answer as unknown[]]),
    );
    expect([1, 2, 3, 4].map((sequence) => bySequence.get(sequence)?.[1])).toEqual([true, true, true, false]);
    socket.destroy();
  });

  it('does not do a repeated request twice, and answers it again', async () => {
    const owner = await own();
    const token = (await findOwner(directory))?.token;
    const { socket, answers } = await rawClient(owner, { token });
    const retry = {
      exchange: 'x',
      topic: 't',
      headers: {},
      body: '',
      paths: [],
      instant: 1,
      firstFailure: 1,
      tries: 1,
      reason: '',
    };
    const add = JSON.stringify([1, 'add', [retry, 0], 1]);
    socket.write(frameOf(`[${add},${add}]`));
    await expect.poll(() => answers.length).toBe(2);
    socket.write(frameOf(`[${add}]`));
    await expect.poll(() => answers.length).toBe(3);
    expect(answers[2]).toEqual([[1, false, null]]);
    // Once its answer is known to have arrived, it is not even remembered.
    socket.write(frameOf(`[[2,"size",[],2],${add}]`));
    await expect.poll(() => answers.length).toBe(4);
    expect(answers[3]).toEqual([[2, false, expect.objectContaining({ waiting: 1 })]]);
    socket.destroy();
  });

  it('keeps no more than the latest answers for a client that waits for an old one', async () => {
    const owner = await own(directory, { handlers: { echo: async (body) => body } });
    await owner.store.paths.enter(['/a'], 1);
    const token = (await findOwner(directory))?.token;
    const { socket, answers } = await rawClient(owner, { token });
    const numbers = (): unknown[] =>
      answers.slice(1).flatMap((frame) => (frame as unknown[][]).map(([n]) => n));
    const echo = (n: number): string => JSON.stringify([n, 'ask', ['echo', 'x'.repeat(100_000)], 1]);
    socket.write(frameOf(JSON.stringify([[1, 'enter', [['/a'], 2, null], 1]])));
    for (let n = 2; n <= 21; n += 1) {
      socket.write(frameOf(`[${echo(n)}]`));
      await expect.poll(numbers).toContain(n);
    }
    const before = numbers().length;
    // Neither remembered nor done a second time; the latest is both.
    socket.write(frameOf(`[${echo(2)},${echo(21)}]`));
    await expect.poll(() => numbers().length).toBe(before + 1);
    expect(numbers().at(-1)).toBe(21);
    socket.destroy();
  });
});
