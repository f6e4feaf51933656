import { randomBytes } from 'node:crypto';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFtpd, type Ftpd } from '../servers/ftpd.js';
import { eventually, type TestHost, testHost } from '../servers/rabbitmq.js';
import { newUser, type User } from './program.js';

/* Files on a real FTP server are announced, and fetched with the account that credentials.conf names. */

let host: TestHost;
let user: User;
let plain: Ftpd;
let secure: Ftpd;
let broker: string;
const secretless = (url: string): string => url.replace(/:[^:@/]*@/, '@');
const password = (server: Ftpd): string => server.credential.password ?? '';

/** Announces files of a server's tree. */
const post = async (server: Ftpd, paths: readonly string[], ...words: string[]): Promise<void> => {
  const way = ['--post_broker', broker, '--post_exchange', 'xpublic', '--post_base_url', server.url];
  expect(await user.run('sr_post', [...way, ...words, ...paths])).toMatchObject({ code: 0 });
};

const configured = async (name: string, ...lines: string[]): Promise<void> => {
  await user.configure(`subscribe/${name}.conf`, [
    `broker ${broker}`,
    'exchange xpublic',
    'subtopic #',
    `directory ${join(user.home, 'got', name).replaceAll(' ', '\\ ')}`,
    'mirror off',
    ...lines,
    'accept .*',
  ]);
  expect(await user.run('sr_subscribe', ['setup', name])).toMatchObject({ code: 0 });
};

const entry = (server: Ftpd, secret: string, options: string): string =>
  `${server.url.replace('//', `//alice:${encodeURIComponent(secret)}@`)} ${options}`;

beforeAll(async () => {
  host = await testHost();
  user = await newUser();
  plain = await startFtpd();
  secure = await startFtpd({ tls: 'explicit' });
  broker = secretless(host.url());
  await host.exchange('xpublic');
});

afterAll(async () => {
  await plain.stop();
  await secure.stop();
  await user.remove();
  await host.remove();
});

describe('fetching over ftp', () => {
  it('names the entry of credentials.conf that is wrong, and goes on when it is right', async () => {
    await user.configure('credentials.conf', [host.url(), entry(secure, 'not this one', 'binary')]);
    await configured('careful', 'attempts 1', 'tls_rigour lax');
    const path = join(secure.root, 'careful');
    await writeFile(path, 'fetched with care');
    await post(secure, [path]);
    const refused = await user.run('sr_subscribe', ['--once', 'foreground', 'careful']);
    expect(refused.stderr + refused.stdout).toMatch(/log in to ftps:.*check the entry in credentials\.conf/u);
    await user.configure('credentials.conf', [host.url(), entry(secure, password(secure), 'binary')]);
    await user.run('sr_subscribe', ['retry', 'requeue', 'careful', '--all']);
    const ran = await user.run('sr_subscribe', ['--once', 'foreground', 'careful']);
    expect(await readFile(join(user.home, 'got/careful/careful'), 'utf8')).toBe('fetched with care');
    expect(await secure.commands()).toContain('PROT P 200');
    for (const { stdout, stderr } of [refused, ran]) {
      expect(stdout + stderr).not.toContain('not this one');
      expect(stdout + stderr).not.toContain(password(secure));
    }
  });

  it('takes whole files and blocks, and survives a server that is killed', async () => {
    await user.configure('credentials.conf', [host.url(), entry(plain, password(plain), 'passive')]);
    // Slow enough that the server is gone before all is here.
    await configured('many', 'kbytes_ps 1000');
    const tree = join(plain.root, 'many');
    await mkdir(tree);
    const names = Array.from({ length: 150 }, (_, number) => `file ${number}`);
    for (const name of names) await writeFile(join(tree, name), randomBytes(5000));
    const large = randomBytes(3_000_000);
    await writeFile(join(tree, 'large'), large);
    const all = [...names, 'large'].map((name) => join(tree, name));
    await post(plain, all, '--blocksize', '1M');
    const running = user.start('sr_subscribe', ['foreground', 'many']);
    const got = join(user.home, 'got/many');
    const arrived = async (): Promise<readonly string[]> => {
      const present = await readdir(got).catch(() => []);
      return present.filter((name) => !name.startsWith('.') && !name.endsWith('.tmp'));
    };
    await eventually('the first are there', async () => (await arrived()).length > 20);
    await plain.kill();
    await running.says(/ECONNREFUSED|ECONNRESET|closed/u);
    await plain.revive();
    await eventually('all are there', async () => (await arrived()).length === names.length + 1);
    expect((await readFile(join(got, 'large'))).equals(large)).toBe(true);
    for (const name of names)
      expect((await readFile(join(got, name))).equals(await readFile(join(tree, name)))).toBe(true);
    running.child.kill('SIGTERM');
    expect((await running.ended).code).toBe(0);
  });
});
