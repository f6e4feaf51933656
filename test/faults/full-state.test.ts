import { execFile } from 'node:child_process';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../servers/rabbitmq.js';
import { type Station, makeStation } from '../servers/station.js';

/*
 * The file system of the state runs full, and has room again later. Nobody acknowledges anything meanwhile, whoever
 * runs the configuration says what is wrong, and goes on by itself.
 */

const run = promisify(execFile);
const FILES = 30;

let station: Station;
let disk: string;
let isThere: boolean;

beforeEach(async () => {
  station = await makeStation();
  disk = join(station.home.state, 'subscribe');
  await mkdir(disk, { recursive: true });
  await run('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=700', 'tmpfs', disk]).catch((cause: unknown) => {
    throw new Error('This test mounts a small tmpfs: run it as root (in a container: with CAP_SYS_ADMIN).', {
      cause,
    });
  });
  await station.configure(['attempts 1', 'instances 2']);
  isThere = false;
});
afterEach(async () => {
  await station.home.run('sr_subscribe', ['stop', 'flow']);
  await run('umount', ['-l', disk]);
  await station.end();
});

const filler = (): string => join(disk, 'filler');

async function fill(): Promise<void> {
  const file = await open(filler(), 'w');
  try {
    for (let size = 1024 * 1024; size >= 512;) {
      const isWritten = await file.write(Buffer.alloc(size)).then(
        ({ bytesWritten }) => bytesWritten === size,
        () => false,
      );
      if (!isWritten) size /= 2;
    }
  } finally {
    await file.close();
  }
}

interface Row {
  readonly state: string;
  readonly reason: string;
  readonly instances: { readonly running: number };
  readonly differences: readonly string[];
  readonly balance: { readonly done: number; readonly waiting: number } | null;
}

async function status(): Promise<{ code: number | null; row: Row }> {
  const { code, stdout } = await station.home.run('sr_subscribe', ['status', '--json', 'flow']);
  const [row] = JSON.parse(stdout) as Row[];
  if (row === undefined) throw new Error('status said nothing');
  return { code, row };
}

const names = Array.from({ length: FILES }, (_, n) => `${'long '.repeat(30)}${n}`);

/** Files that are not to be had yet, so that each becomes an entry of the retry list. */
async function announceAll(): Promise<void> {
  for (const name of names) {
    station.serve(name, () => (isThere ? Buffer.from(`content of ${name}`) : undefined));
    await station.announce(name);
  }
}

const isSuspended = (): Promise<void> =>
  eventually('it says that it waits', async () => (await status()).row.state === 'suspended');

async function everythingArrives(): Promise<void> {
  isThere = true;
  await rm(filler(), { force: true });
  await eventually('every file is there', async () => (await station.files()).length === FILES + 1);
  await station.drained();
  expect(await station.at(names[7] ?? '')).toBe(`content of ${names[7]}`);
}

describe('a daemon whose state cannot be written', () => {
  beforeEach(async () => {
    await station.announce('first');
    const started = await station.home.run('sr_subscribe', ['start', 'flow']);
    expect(started).toMatchObject({ code: 0 });
    await eventually('the first file is there', async () => (await station.at('first')) !== undefined);
    await station.drained();
    await fill();
    await announceAll();
    await isSuspended();
  });

  it('says so, loses nothing, and goes on when there is room', async () => {
    const { code, row } = await status();
    expect(code).toBe(1);
    expect(row.reason).toMatch(/^state directory cannot be written: .*store.*(space|writ)/iu);
    await eventually('its instances rest', async () => (await status()).row.instances.running === 0);
    const table = await station.home.run('sr_subscribe', ['status']);
    expect(table.stdout).toMatch(/^flow +suspended +0\/2 .*state directory cannot be written/mu);
    for (const action of ['start', 'reload']) {
      const answer = await station.home.run('sr_subscribe', [action, 'flow']);
      expect(answer).toMatchObject({ code: 1 });
      expect(answer.stderr).toContain('state directory cannot be written');
    }
    await everythingArrives();
    await eventually('it runs again', async () => {
      const now = await status();
      return now.code === 0 && now.row.reason === '';
    });
    const after = await status();
    expect(after.row).toMatchObject({ state: 'running', differences: [] });
    expect(after.row.balance?.waiting).toBe(0);
  });

  it('is stopped all the same, and the next start finds everything', async () => {
    const stopped = await station.home.run('sr_subscribe', ['stop', 'flow']);
    expect(stopped).toMatchObject({ code: 0 });
    // It does not wait for room, which never comes.
    expect(stopped.stdout).toMatch(/stopped after \d\.\d s/u);
    await rm(filler());
    isThere = true;
    const ended = await station.once(['--instances', '1']);
    expect(ended.stderr).not.toContain('does not add up');
    await station.home.run('sr_subscribe', ['start', 'flow']);
    await eventually('every file is there', async () => (await station.files()).length === FILES + 1);
  });
});

describe('a run in the foreground whose state cannot be written', () => {
  it('waits for room, and goes on', async () => {
    const running = await station.daemon();
    await station.announce('first');
    await eventually('the first file is there', async () => (await station.at('first')) !== undefined);
    await fill();
    await announceAll();
    await running.line(/CRITICAL.*state directory cannot be written/u);
    await isSuspended();
    await everythingArrives();
    await running.line(/can be written again/u);
    const { code, stderr } = await running.stop();
    expect(code).toBe(0);
    expect(stderr).not.toContain('does not add up');
  });

  it('fails where it is a step of a script, and says why', async () => {
    await station.once();
    await fill();
    await announceAll();
    const { code, stderr } = await station.once();
    expect(code).toBe(1);
    expect(stderr).toMatch(/sr_subscribe: cannot (write|open) the store in .*space/u);
    await rm(filler());
    await station.announce('first');
    await station.daemon();
    await everythingArrives();
  });
});
