import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { openLevelStore } from '../../src/store/level-store.js';
import { becomeOwner } from '../../src/store/owner/owner.js';
import { connectStore } from '../../src/store/owner/remote-store.js';
import type { Retry, Store } from '../../src/store/store.js';

/** Programs that tests start, question and kill. The first argument is the role, the second the state directory. */
const [role, directory = '', extra = ''] = process.argv.slice(2);

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const retryOf = (name: string): Omit<Retry, 'id'> => ({
  exchange: 'xpublic',
  topic: 'v02.post.a',
  headers: { name },
  body: 'x'.repeat(200),
  contentType: 'text/plain',
  paths: [`/data/${name}`],
  instant: 1000,
  firstFailure: Date.now(),
  tries: 1,
  reason: 'refused',
});

/** Says what this process has taken until now. */
const measure = (what: string, done: number): void => {
  // What is no longer needed is no memory that the list takes.
  globalThis.gc?.();
  const { user, system } = process.cpuUsage();
  const own = Number(/^Anonymous:\s+(\d+) kB/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'))?.[1]);
  const { rss } = process.memoryUsage();
  const cpu = (user + system) / 1e6;
  say(
    `${what} ${JSON.stringify({ entries: done, own: own * 1024, rss, cpu, seconds: performance.now() / 1000 })}`,
  );
};

/** Owns a store whose clock the test moves, and tells what was abandoned. */
async function own(): Promise<void> {
  let offset = 0;
  const abandoned: string[] = [];
  const owner = await becomeOwner(directory, {
    now: () => Date.now() + offset,
    retryTtl: Number(extra),
    abandoned: async (leftover) => {
      abandoned.push(leftover);
      say(`abandoned ${leftover}`);
    },
    handlers: {
      advance: async (by) => {
        offset += Number(by);
        await owner?.owned.expire();
      },
      abandoned: async () => abandoned,
      never: async () => new Promise<never>(() => undefined),
    },
  });
  say(owner === undefined ? 'refused' : 'owner');
}

/** Writes without end, and says what it was promised. */
async function write(): Promise<void> {
  const owned = await openLevelStore(join(directory, 'store'));
  if (owned === undefined) throw new Error('locked');
  const store = owned.join('writer');
  say('ready');
  const lane = async (number: number): Promise<void> => {
    for (let n = 0; ; n += 1) {
      const name = `${extra}-${number}-${n}`;
      await store.retries.add(retryOf(name), 0);
      say(`added ${name}`);
      await store.seen.commit(name, 3_600_000);
      say(`committed ${name}`);
      if (n % 3 !== 0) continue;
      const [taken] = await store.retries.take(1);
      if (taken === undefined) continue;
      // The pipe is written at once, so the test knows of everything that may be gone.
      say(`finishing ${taken.headers['name']}`);
      await store.retries.done(taken.id);
      say(`done ${taken.headers['name']}`);
    }
  };
  await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(lane));
}

/** Tries to own the directory until it does; then proves it by a port that only one process can have. */
async function contend(): Promise<void> {
  for (;;) {
    const owner = await becomeOwner(directory);
    if (owner === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      continue;
    }
    const proof = createServer();
    await new Promise<void>((resolve) => {
      proof.once('error', () => {
        say('two owners');
        resolve();
      });
      proof.listen(extra, resolve);
    });
    say('owner');
    return;
  }
}

/** A client that holds a claim, a path with a leftover and a lease until it is killed. */
async function hold(): Promise<void> {
  const store = await connectStore(directory);
  await store.seen.claim('held', 60_000);
  await store.paths.enter(['/held'], Date.now(), '.held.tmp');
  await store.retries.take(1);
  say('holding');
  store.lost.addEventListener('abort', () => say('lost'));
}

/** Fills a retry list, opens it again, and works it off, saying what that took. */
async function many(): Promise<void> {
  const entries = Number(extra);
  const open = async () => {
    const owned = await openLevelStore(directory, { now: () => 2_000_000 });
    if (owned === undefined) throw new Error('locked');
    return { owned, retries: owned.join('test').retries };
  };
  const first = await open();
  for (let n = 0; n < entries; n += 100) {
    const some = Array.from({ length: 100 }, (_, k) => ({
      ...retryOf(String(n + k)),
      firstFailure: 1_000_000,
    }));
    await Promise.all(some.map((retry, k) => first.retries.add(retry, 1_000_000 + ((n + k) % 1000))));
    if ((n + 100) % (entries / 5) === 0) measure('added', n + 100);
  }
  await first.owned.close();
  measure('closed', entries);
  const { owned, retries } = await open();
  measure(`reopened, ${(await retries.size()).waiting} waiting`, entries);
  let done = 0;
  for (let step = 1; ;) {
    const taken = await retries.take(50);
    await Promise.all(taken.map(({ id }) => retries.done(id)));
    done += taken.length;
    if (done >= (step * entries) / 5 || taken.length === 0) {
      measure('drained', done);
      step += 1;
    }
    if (taken.length === 0) break;
  }
  const { waiting } = await retries.size();
  await owned.close();
  say(`left ${waiting}`);
}

/** Brings a file of very many blocks together, by two clients, sixteen blocks at a time; opened again in the middle. */
async function blocks(): Promise<void> {
  const count = Number(extra);
  const path = '/large';
  const open = async () => {
    const owned = await openLevelStore(directory);
    if (owned === undefined) throw new Error('locked');
    return { owned, clients: [owned.join('one'), owned.join('two')] };
  };
  const bring = async (store: Store, number: number): Promise<boolean> => {
    await store.paths.enter([path], 1000, undefined, undefined, 'g');
    const answer = await store.assemblies.begin({
      path,
      generation: 'g',
      number,
      count,
      blockSize: 10,
      size: count * 10 - 1,
      sum: `s,${'0123456789abcdef'.repeat(8)}`,
      instant: 1000,
      leftover: '/.large.tmp',
    });
    const { complete } =
      answer.kind === 'missing'
        ? await store.assemblies.placed(path, 'g', number)
        : { complete: answer.kind === 'present' && answer.complete };
    if (complete) await store.assemblies.finished(path, 'g');
    await store.assemblies.leave(path, 'g', number);
    await store.paths.leave([path]);
    return complete;
  };
  let state = await open();
  let completed = 0;
  for (let n = 0; n < count; n += 16) {
    const some = Array.from({ length: Math.min(16, count - n) }, (_, k) => n + k);
    const done = await Promise.all(some.map((number) => bring(state.clients[number % 2] as Store, number)));
    completed += done.filter(Boolean).length;
    const step = Math.floor(count / 5);
    if (Math.floor((n + 16) / step) > Math.floor(n / step)) measure('placed', n + some.length);
    if (n < count / 2 && n + 16 >= count / 2) {
      await state.owned.close();
      state = await open();
    }
  }
  await state.owned.expire();
  measure('expired', count);
  await state.owned.close();
  say(`completed ${completed}`);
}

const roles: Readonly<Record<string, () => Promise<void>>> = { own, write, contend, hold, many, blocks };
await roles[role ?? '']?.();
