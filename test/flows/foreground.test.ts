import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestHost, testHost } from '../servers/rabbitmq.js';
import { type User, newUser } from './program.js';

let host: TestHost;
let user: User;
let data: string;

beforeAll(async () => {
  host = await testHost();
  user = await newUser();
  data = join(user.home, 'data');
  await mkdir(join(data, 'sub'), { recursive: true });
  await writeFile(join(data, 'one.txt'), 'one');
  await writeFile(join(data, 'sub', 'two words.txt'), 'two');
  await host.exchange('xpublic');
  await user.configure('credentials.conf', [host.url()]);
});
afterAll(async () => {
  await user.remove();
  await host.remove();
});

const posting = (): string[] => [
  '--post_broker',
  host.url().replace(/:[^:@/]*@/, '@'),
  '--post_exchange',
  'xpublic',
  '--post_base_url',
  'file:',
];
const broker = (): string => host.url().replace(/:[^:@/]*@/, '@');

describe('a transfer without any configuration', () => {
  it('announces and fetches, and ends with 0 when all is there', async () => {
    const target = join(user.home, 'target');
    await mkdir(target);
    const words = [
      '--broker',
      broker(),
      '--subtopic',
      '#',
      '--accept',
      '.*\\.txt',
      '--directory',
      '.',
      '--once',
      'foreground',
    ];
    // The queue must be there before anything is announced.
    const first = await user.run('sr_subscribe', words, { cwd: target });
    expect(first).toMatchObject({ code: 0, stdout: '' });
    expect(first.stderr).toMatch(
      /queue q_admin\.sr_subscribe\.adhoc-\S+ on amqp:\S+ keeps messages, and lives 5 minutes/,
    );
    const posted = await user.run('sr_post', [...posting(), data]);
    expect(posted.stderr).toContain('2 taken = 2 done (201: 2)');
    expect(posted.code).toBe(0);
    const second = await user.run('sr_subscribe', words, { cwd: target });
    expect(second.stderr).toMatch(/2 files, 6 B in .* 0 failures; 2 taken = 2 done \(201: 2\)/);
    expect(second.code).toBe(0);
    expect((await readdir(target)).sort()).toEqual(['one.txt', 'two words.txt']);
    expect(await readFile(join(target, 'two words.txt'), 'utf8')).toBe('two');
  });
});
