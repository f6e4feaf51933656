import { execFileSync, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import amqp from 'amqplib';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startBroker } from '../../src/quickstart/private-broker.js';
import type { PrivateBroker } from '../../src/quickstart/private-broker.js';
import { isAlive } from '../servers/programs.js';
import { eventually } from '../servers/rabbitmq.js';

const isListening = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });

/** The module under test as plain JavaScript, so that another process can run it and be killed. */
async function buildOwner(build: string): Promise<void> {
  for (const folder of ['quickstart', 'pump']) await mkdir(join(build, folder), { recursive: true });
  await writeFile(join(build, 'package.json'), '{"type":"module"}');
  const needed = [
    'errors',
    'logger',
    'pump/passwords',
    'quickstart/broker-files',
    'quickstart/guard',
    'quickstart/private-broker',
  ];
  for (const name of needed) {
    const source = await readFile(join(import.meta.dirname, '../../src', `${name}.ts`), 'utf8');
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
    });
    await writeFile(join(build, `${name}.js`), outputText);
  }
  await writeFile(
    join(build, 'owner.js'),
    `import { startBroker } from './quickstart/private-broker.js';
     const broker = await startBroker({ directory: process.argv[2] });
     console.log('pid', broker.pid());
     setInterval(() => undefined, 1000);`,
  );
}

describe('a private broker', () => {
  let root = '';
  let broker: PrivateBroker;

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "sarra private 'broker'-"));
    await buildOwner(join(root, 'build'));
    broker = await startBroker({
      directory: join(root, 'first node'),
      definitions: {
        vhosts: ['other'],
        users: [
          {
            name: 'alice',
            password: 'p w "\u00e9',
            permissions: { configure: '', write: '^xs_alice$', read: '^xpublic$' },
          },
        ],
        exchanges: [{ name: 'xpublic' }, { name: 'xs_alice' }],
      },
    });
  });

  afterAll(async () => {
    await broker.stop();
    await rm(root, { recursive: true, force: true });
  });

  const connectAlice = () =>
    amqp.connect({
      hostname: '127.0.0.1',
      port: broker.port,
      username: 'alice',
      password: 'p w "\u00e9',
      vhost: '/',
    });

  test('serves the users, permissions and exchanges it was told', async () => {
    const connection = await connectAlice();
    const channel = await connection.createConfirmChannel();
    channel.on('error', () => undefined);
    await channel.checkExchange('xpublic');
    channel.publish('xs_alice', 'v02.post', Buffer.from('x'));
    await channel.waitForConfirms();
    await expect(channel.assertExchange('xnew', 'topic')).rejects.toThrow(/ACCESS_REFUSED/);
    await connection.close();
  });

  test('listens on loopback only and starts no epmd', () => {
    const listening = execFileSync('ss', ['-ltnpH'], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line.includes(`pid=${String(broker.pid())},`));
    expect(listening.length).toBeGreaterThan(0);
    expect(listening.filter((line) => !/\s127\.0\.0\.1:\d+\s/.test(line))).toEqual([]);
  });

  test('several live beside each other, and one with the same directory keeps its ports, users and messages', async () => {
    const directory = join(root, 'second');
    const second = await startBroker({ directory });
    expect(second.port).not.toBe(broker.port);
    const connection = await amqp.connect(second.adminUrl);
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue('kept');
    channel.sendToQueue('kept', Buffer.from('still here'), { persistent: true });
    await channel.waitForConfirms();
    await connection.close();
    await second.stop();
    expect(await isListening(second.port)).toBe(false);
    expect(await isListening(broker.port)).toBe(true);

    const again = await startBroker({ directory });
    expect([again.port, again.adminPassword]).toEqual([second.port, second.adminPassword]);
    const back = await amqp.connect(again.adminUrl);
    const found = await (await back.createChannel()).get('kept', { noAck: true });
    expect(found === false ? 'nothing' : found.content.toString()).toBe('still here');
    await back.close();
    await again.kill();
    expect(again.pid()).toBeUndefined();
  });

  test('an early end is told with the end of its log', async () => {
    const attempt = startBroker({ directory: join(root, 'third'), settings: ['{tcp_listeners, nonsense}'] });
    await expect(attempt).rejects.toThrow(/ended while booting[\s\S]+case_clause,nonsense/);
  });

  test.each(['SIGKILL', 'SIGINT'] as const)('goes when its owner dies of %s', async (signal) => {
    const directory = join(root, `orphan ${signal}`);
    const owner = spawn(process.execPath, [join(root, 'build/owner.js'), directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    owner.stdout.on('data', (data: Buffer) => (said += data.toString()));
    await eventually('the owner has a broker', () => said.includes('pid'));
    const pid = Number(/pid (\d+)/.exec(said)?.[1]);
    expect(isAlive(pid)).toBe(true);
    owner.kill(signal);
    await eventually('the node is gone', () => !isAlive(pid), 15_000);
    expect(await readdir(directory)).toContain('broker.json');
  });
});
