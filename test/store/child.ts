import { createServer } from 'node:net';
import { join } from 'node:path';
import { openLevelStore } from '../../src/store/level-store.js';
import { becomeOwner } from '../../src/store/owner.js';
import { connectStore } from '../../src/store/remote-store.js';
import type { Retry } from '../../src/store/store.js';

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

const roles: Readonly<Record<string, () => Promise<void>>> = { own, write, contend, hold };
await roles[role ?? '']?.();
