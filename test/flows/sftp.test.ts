import { randomBytes } from 'node:crypto';
import { appendFile, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestHost, eventually, testHost } from '../servers/rabbitmq.js';
import { makeKey, startSshd, type Sshd } from '../servers/sshd.js';
import { type User, newUser } from './program.js';

/* Files on a real SSH server are announced, and fetched over sftp with the account that credentials.conf names. */

const passphrase = 'a phrase: with @ and /';

let host: TestHost;
let user: User;
let server: Sshd;
let broker: string;
const secretless = (url: string): string => url.replace(/:[^:@/]*@/, '@');

/** Announces files of the server's tree. */
const post = async (paths: readonly string[], ...words: string[]): Promise<void> => {
  const way = ['--post_broker', broker, '--post_exchange', 'xpublic', '--post_base_url', server.url];
  expect(await user.run('sr_post', [...way, ...words, ...paths])).toMatchObject({ code: 0 });
};

const configured = (name: string, ...lines: string[]): Promise<string> =>
  user.configure(`subscribe/${name}.conf`, [
    `broker ${broker}`,
    'exchange xpublic',
    'subtopic #',
    `directory ${join(user.home, 'got', name).replaceAll(' ', '\\ ')}`,
    'mirror off',
    ...lines,
    'accept .*',
  ]);

beforeAll(async () => {
  host = await testHost();
  user = await newUser();
  server = await startSshd();
  broker = secretless(host.url());
  await host.exchange('xpublic');
  const key = join(user.home, 'key');
  makeKey(key, 'ed25519', passphrase);
  // The server knows this key, and no other way in.
  await appendFile(join(server.home, '../authorized_keys'), await readFile(`${key}.pub`));
  const { user: account, port } = server;
  await user.configure('credentials.conf', [
    host.url(),
    `sftp://${account}:${encodeURIComponent(passphrase)}@127.0.0.1:${port}/ ssh_keyfile=${join(user.home, 'link')}`,
  ]);
  await mkdir(join(user.home, '.ssh'), { mode: 0o700 });
  await writeFile(join(user.home, 'link'), await readFile(key), { mode: 0o600 });
});

afterAll(async () => {
  await server.stop();
  await user.remove();
  await host.remove();
});

describe('fetching over sftp', () => {
  it('refuses a server whose key nobody knows, names the remedy, and goes on when it is known', async () => {
    await configured('careful', 'attempts 1');
    const path = join(server.root, 'careful');
    await writeFile(path, 'fetched with care');
    await user.run('sr_subscribe', ['setup', 'careful']);
    await post([path]);
    const refused = await user.run('sr_subscribe', ['--once', 'foreground', 'careful']);
    expect(refused.stderr + refused.stdout).toMatch(/is not in .*known_hosts: .*ssh-keyscan -p/u);
    await writeFile(join(user.home, '.ssh/known_hosts'), `[127.0.0.1]:${server.port} ${server.knownHost}\n`);
    await user.run('sr_subscribe', ['retry', 'requeue', 'careful', '--all']);
    const ran = await user.run('sr_subscribe', ['--once', 'foreground', 'careful']);
    expect(await readFile(join(user.home, 'got/careful/careful'), 'utf8')).toBe('fetched with care');
    for (const { stdout, stderr } of [refused, ran]) expect(stdout + stderr).not.toContain(passphrase);
  });

  it('takes whole files and blocks, and survives a server that is killed', async () => {
    // Slow enough that the server is gone before all is here.
    await configured('many', 'kbytes_ps 1000');
    const tree = join(server.root, 'many');
    await mkdir(tree);
    const names = Array.from({ length: 150 }, (_, number) => `file ${number}`);
    for (const name of names) await writeFile(join(tree, name), randomBytes(5000));
    const large = randomBytes(3_000_000);
    await writeFile(join(tree, 'large'), large);
    await user.run('sr_subscribe', ['setup', 'many']);
    await post(
      [...names, 'large'].map((name) => join(tree, name)),
      '--blocksize',
      '1M',
    );
    const running = user.start('sr_subscribe', ['foreground', 'many']);
    const got = join(user.home, 'got/many');
    const arrived = async (): Promise<readonly string[]> => {
      const all = await readdir(got).catch(() => []);
      return all.filter((name) => !name.startsWith('.') && !name.endsWith('.tmp'));
    };
    await eventually('the first are there', async () => (await arrived()).length > 20);
    await server.kill();
    await running.says(/is lost|ECONNREFUSED/u);
    await server.start();
    await eventually('all are there', async () => (await arrived()).length === names.length + 1);
    expect((await readFile(join(got, 'large'))).equals(large)).toBe(true);
    for (const name of names)
      expect((await readFile(join(got, name))).equals(await readFile(join(tree, name)))).toBe(true);
    running.child.kill('SIGTERM');
    expect((await running.ended).code).toBe(0);
  });
});
