import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { silentLogger } from '../../src/logger.js';
import { dedupeKey } from '../../src/stage/choose/dedupe-key.js';
import { decode } from '../../src/message/formats.js';
import { type Owner, becomeOwner } from '../../src/store/owner/owner.js';
import { type Scene, headersOf, openScene, pathsOf, sorted } from './passing.js';

/* The table of a feed that brings very much: it is on disk, and costs next to no memory. */

const ENTRIES = process.env['SR_LONG'] === undefined ? 30_000 : 1_000_000;
const PERIOD = 86_400;
const MEMORY = 250 * 1024 * 1024;

let scene: Scene;
beforeEach(async () => {
  scene = await openScene();
});
afterEach(async () => {
  await scene.end();
});

/** The key of an announcement, as sr_winnow makes it. */
function keyOf(path: string): string {
  const decoded = decode({
    topic: 'v02.post.d',
    headers: headersOf(path),
    contentType: 'text/plain',
    body: Buffer.from(`20160120070001.123 http://source1.example.org/ ${path}`),
  });
  const key = decoded.kind === 'post' ? dedupeKey(decoded.announcement, 'path') : undefined;
  if (key === undefined) throw new Error('no key');
  return key;
}

/** Bytes of a process that no other shares. */
async function privateBytes(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kib = [...rollup.matchAll(/^Private_(?:Clean|Dirty): +(\d+) kB$/gmu)].map(([, text]) => Number(text));
  return kib.reduce((total, one) => total + one, 0) * 1024;
}

const openTable = async (state: string): Promise<Owner> => {
  const owner = await becomeOwner(state, {
    handlers: {},
    flush: false,
    retryTtl: 0,
    abandoned: async () => undefined,
    logger: silentLogger,
  });
  if (owner === undefined) throw new Error('somebody else has the state');
  return owner;
};

/** Fills it, and answers how many seconds it takes to open it then. */
async function fill(state: string, paths: readonly string[]): Promise<number> {
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const owner = await openTable(state);
  const { seen } = owner.store;
  for (let at = 0; at < paths.length; at += 2000)
    await Promise.all(
      paths.slice(at, at + 2000).map((path) => seen.commit(keyOf(path), PERIOD * 1000, path)),
    );
  await owner.close();
  const began = performance.now();
  await (await openTable(state)).close();
  return (performance.now() - began) / 1000;
}

it(`${ENTRIES} entries are known, and need little memory`, async () => {
  const { home, broker, announce, passed, drained, feeder } = scene;
  const paths = pathsOf(ENTRIES);
  const opened = await fill(join(home.state, 'winnow', 'w'), paths);
  await home.configure('winnow', 'w', [
    `broker ${broker}`,
    'exchange xin',
    'post_exchange xout',
    'report_back off',
    'instances 2',
    'loglevel warning',
    `suppress_duplicates ${PERIOD}`,
  ]);
  const started = await home.run('sr_winnow', ['start', 'w']);
  expect(started.code, started.stderr).toBe(0);
  let bytes = 0;
  try {
    const fresh = pathsOf(1000, 'new');
    const old = paths.filter((_, at) => at % Math.ceil(ENTRIES / 5000) === 0);
    await announce(2, [...old, ...fresh]);
    await drained(`q_${feeder.name}.sr_winnow.w`);
    expect(sorted(await passed())).toEqual(fresh);
    const { stdout } = await home.run('sr_winnow', ['--json', 'status', 'w']);
    const [row] = JSON.parse(stdout) as { per_instance: { pid: number }[]; details: { pid: number } }[];
    const pids = [...(row?.per_instance ?? []).map(({ pid }) => pid), row?.details.pid ?? 0];
    expect(pids).toHaveLength(3);
    for (const pid of pids) bytes += await privateBytes(pid);
  } finally {
    await home.run('sr_winnow', ['stop', 'w']);
  }
  const mebibytes = (bytes / 2 ** 20).toFixed(0);
  console.log(`${ENTRIES} entries: ${mebibytes} MiB in 3 processes; opened in ${opened.toFixed(2)} s`);
  expect(bytes).toBeLessThan(MEMORY);
}, 900_000);
