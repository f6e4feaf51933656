import { randomBytes } from 'node:crypto';
import { cp, mkdir, readFile, readdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Firewall, openFirewall } from '../servers/firewall.js';
import type { Ended } from '../servers/programs.js';
import { type Member, type Pump, makePump } from '../servers/pump.js';
import { eventually } from '../servers/rabbitmq.js';
import { type Sshd, startSshd } from '../servers/sshd.js';
import { exchangeOf, today } from './collecting.js';

/*
 * Alice sits behind a firewall: nobody connects to her. She sends her files to the disk of the pump and announces them
 * there, the pump takes them in and clears the disk, bob fetches them, and alice reads who has got what.
 */

const isLong = process.env['SR_LONG'] !== undefined;
const files = isLong ? 1000 : 100;
const largeSize = isLong ? 2 ** 30 : 24 * 2 ** 20;

let pump: Pump;
let alice: Member;
let sshd: Sshd;
let drop: string;
let firewall: Firewall;

beforeEach(async () => {
  pump = await makePump();
  alice = await pump.member('alice', 'source');
  sshd = await startSshd();
  drop = join(sshd.root, 'drop');
  await mkdir(drop);
  await cp(join(sshd.home, '.ssh'), join(alice.home.directory, '.ssh'), { recursive: true });
  firewall = await openFirewall([sshd.port, Number(new URL(alice.broker).port)]);
});
afterEach(async () => {
  await firewall.stop();
  await sshd.stop();
  await pump.end();
});

const dropUrl = (): string => `${sshd.url.replace(/\/$/u, '')}${drop}`;

/** Alice puts, from behind the firewall. */
const put = (...words: string[]): Promise<Ended> =>
  alice.home.run('sr_put', ['--post_broker', alice.broker, ...words], {
    under: firewall.under,
    deadline: 600_000,
  });

async function takesIn(...lines: string[]): Promise<void> {
  await pump.sarra('from_drop', [
    `exchange ${exchangeOf(alice)}`,
    'source_from_exchange on',
    `drop_dir ${drop}`,
    'delete on',
    `strip ${drop.split('/').length}`,
    'directory ${PBD}/${YYYYMMDD}/${SOURCE}',
    ...lines,
    'accept .*',
  ]);
  await pump.setup('from_drop');
}

async function own(path: string, content: string | Uint8Array): Promise<string> {
  const file = join(alice.home.directory, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
  return file;
}

const filesBelow = async (directory: string): Promise<readonly string[]> =>
  (await readdir(directory, { recursive: true, withFileTypes: true }))
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();

const arrived = (): string => join(pump.tree, today(), alice.user.name);

async function requireEqual(one: string, other: string): Promise<void> {
  const names = await filesBelow(one);
  expect(await filesBelow(other)).toEqual(names);
  for (const name of names) {
    const same = (await readFile(join(one, name))).equals(await readFile(join(other, name)));
    expect(same, name).toBe(true);
  }
}

describe('from behind a firewall', () => {
  it(
    'a tree and a large file come to the pump and to a subscriber, and the source reads who has got them',
    async () => {
      const bob = await pump.member('bob', 'subscriber');
      await takesIn();
      for (const program of ['sr_2xlog', 'sr_log2source'])
        expect((await pump.feeder.home.run(program, ['start'])).code).toBe(0);
      await bob.home.configure('subscribe', 'all', [`broker ${bob.broker}`, 'mirror on', 'accept .*']);
      expect((await bob.home.run('sr_subscribe', ['setup', 'all'])).code).toBe(0);
      await alice.home.configure('report', 'mine', [`broker ${alice.broker}`, `consumer ${bob.user.name}`]);
      expect((await alice.home.run('sr_log', ['setup', 'mine'])).code).toBe(0);

      for (let number = 0; number < files; number += 1)
        await own(`tree/d${number % 10}/file ${number}`, randomBytes(1 + number * 7));
      await own('tree/large', randomBytes(largeSize));
      const ended = await put(join(alice.home.directory, 'tree'), dropUrl());
      expect(ended.code, ended.stderr).toBe(0);
      if (firewall.under.length > 0) expect(firewall.made(sshd.port)).toBeGreaterThan(0);
      await requireEqual(join(alice.home.directory, 'tree'), join(drop, 'tree'));

      const collected = await pump.collect('from_drop');
      expect(collected.code, collected.stderr).toBe(0);
      expect(await filesBelow(drop)).toEqual([]);
      await requireEqual(join(alice.home.directory, 'tree'), join(arrived(), 'tree'));

      const target = join(bob.home.directory, 'got');
      await mkdir(target);
      const got = await bob.home.run('sr_subscribe', ['--once', 'foreground', 'all'], {
        cwd: target,
        deadline: 600_000,
      });
      expect(got.code, got.stderr).toBe(0);
      await requireEqual(arrived(), join(target, today(), alice.user.name));

      // The records come by themselves; alice asks for them from where she is.
      const records: string[] = [];
      await eventually('the records have come', async () => {
        const words = ['--json', '--once', 'foreground', 'mine'];
        const { stdout } = await alice.home.run('sr_log', words, { under: firewall.under });
        records.push(...stdout.split('\n').filter(Boolean));
        return records.length >= files + 1;
      });
      expect(records).toHaveLength(files + 1);
      expect(new Set(records.map((line) => (JSON.parse(line) as { code: number }).code))).toEqual(
        new Set([201]),
      );
      for (const program of ['sr_2xlog', 'sr_log2source']) await pump.feeder.home.run(program, ['stop']);
    },
    isLong ? 1_800_000 : 300_000,
  );

  it('nobody reaches her, and she reaches nothing but the pump', async () => {
    if (firewall.under.length === 0) return;
    const words = ['--post_broker', alice.broker, '--attempts', '1', await own('f', 'x')];
    const elsewhere = await alice.home.run('sr_put', [...words, `sftp://x@127.0.0.1:1${drop}`], {
      under: firewall.under,
    });
    expect(elsewhere.code).toBe(1);
    const other = await startSshd();
    try {
      const refused = await alice.home.run('sr_put', [...words, other.url], { under: firewall.under });
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(/not posted: .*\/f: .*ECONNREFUSED/u);
    } finally {
      await other.stop();
    }
  });
});

describe('sr_put', () => {
  it('names what it sends as other programs that copy do', async () => {
    await takesIn();
    await own('dir/in/a', 'a');
    await own('dir/b', 'b');
    const c = await own('c', 'c');
    await symlink('b', join(alice.home.directory, 'dir/link'));
    const { directory } = alice.home;
    for (const path of [join(directory, 'dir'), `${join(directory, 'dir')}/`, c])
      expect((await put(path, dropUrl())).code).toBe(0);
    expect(await filesBelow(drop)).toEqual(['b', 'c', 'dir/b', 'dir/in/a', 'in/a']);
    expect((await pump.collect('from_drop')).code).toBe(0);
    expect(await filesBelow(arrived())).toEqual(['b', 'c', 'dir/b', 'dir/in/a', 'dir/link', 'in/a', 'link']);
    expect(await filesBelow(drop)).toEqual([]);
  });

  it('announces where the pump has the files, when it has them elsewhere than she thinks', async () => {
    await takesIn();
    const file = await own('f', 'content');
    const chrooted = await startSshd({ directory: sshd.root });
    try {
      await cp(join(chrooted.home, '.ssh'), join(alice.home.directory, '.ssh'), { recursive: true });
      const base = `${chrooted.url.replace(/\/$/u, '')}${chrooted.root}`;
      const ended = await alice.home.run('sr_put', [
        ...['--post_broker', alice.broker, '--post_base_url', 'file:/pump/disk', '--ssh_host_key', 'off'],
        ...[file, base],
      ]);
      expect(ended.code, ended.stderr).toBe(0);
      const heard = await pump.collect('from_drop');
      expect(heard.stderr).toContain(`/pump/disk${chrooted.root}/f is not below ${drop}`);
    } finally {
      await chrooted.stop();
    }
  });

  it('fails with what could not be sent, and posts nothing of it', async () => {
    await takesIn();
    const there = await own('there', 'x');
    const ended = await put('--attempts', '1', there, join(alice.home.directory, 'missing'), dropUrl());
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/missing: no such file/u);
    await sshd.kill();
    const dead = await put('--attempts', '1', there, dropUrl());
    expect(dead.code).toBe(1);
    expect(dead.stderr).toMatch(/not posted: .*\/there/u);
    const collected = await pump.collect('from_drop');
    expect(collected.stderr).toMatch(/1 files/u);
  });

  it.each([
    [['x'], /where to\? The last word is a server/u],
    [['x', 'sftp://pump/drop'], /who announces them/u],
    [['x', 'sftp://a@pump/', 'sftp://a@pump/drop'], /only the last word may be a URL/u],
    [['x', 'https://a@pump/dav/'], /nobody knows where on its disk/u],
    [['--blocksize', '10M', 'x', 'sftp://a@pump/drop'], /files are sent as a whole/u],
    [['sftp://a@pump/drop'], /nothing to post/u],
  ])('%j is not understood', async (words, complaint) => {
    const password = new URL(pump.host.url(alice.user)).password;
    await writeFile(
      join(alice.home.configuration, 'credentials.conf'),
      `amqps://a:${password}@pump/\nhttps://a:${password}@pump/\nsftp://a:x@pump/\n`,
      { mode: 0o600 },
    );
    const ended = await alice.home.run('sr_put', words);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toMatch(complaint);
    expect(ended.stderr).not.toContain(password);
  });
});
