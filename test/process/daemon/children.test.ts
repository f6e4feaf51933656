import { type ChildProcess, spawn } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { describeBalance, emptyBalance } from '../../../src/flow/balance.js';
import { silentLogger } from '../../../src/logger.js';
import { type Children, type ChildrenOptions, createChildren } from '../../../src/process/daemon/children.js';
import type { InstanceReport } from '../../../src/process/daemon/status.js';
import { eventually } from '../../servers/rabbitmq.js';

const report = (connection = 'connected', balance = emptyBalance): InstanceReport => ({
  pid: 1,
  balance,
  differences: [],
  connections: { consume: { state: connection as 'connected', reason: 'no route', place: '' } },
  unacknowledged: 0,
  bytes: 0,
  held: [],
});

const says = (message: object): string => `process.send(${JSON.stringify(message)});`;
const alive = says({ kind: 'report', report: report() });
const forever = 'setInterval(() => {}, 1000);';
const stubborn = "process.on('SIGTERM', () => {});";

const started: ChildProcess[] = [];
let children: Children | undefined;

afterEach(async () => {
  await children?.stop(0);
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

/** Real processes; `script` says what the instance of that number does, at its first, second, ... start. */
function make(
  script: (number: number, start: number) => string,
  options: Partial<ChildrenOptions> = {},
): Children {
  const starts = new Map<number, number>();
  children = createChildren({
    count: 1,
    logger: silentLogger,
    silence: 0,
    now: Date.now,
    once: false,
    allDone: () => undefined,
    spawn: (number) => {
      const start = (starts.get(number) ?? 0) + 1;
      starts.set(number, start);
      const child = spawn(process.execPath, ['-e', script(number, start)], {
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      });
      started.push(child);
      return child;
    },
    ...options,
  });
  return children;
}

const states = (of: Children): string[] => of.status().map(({ state }) => state);

describe('the instances of a configuration', () => {
  it('run when they have given a sign of life', async () => {
    const of = make(() => alive + forever, { count: 2 });
    of.start();
    expect(states(of)).toEqual(['starting', 'starting']);
    await of.settled();
    expect(of.status()).toMatchObject([
      { number: 1, state: 'running', reason: '', restarts: 0 },
      { number: 2, state: 'running', reason: '', restarts: 0 },
    ]);
    await of.stop(5000);
    expect(states(of)).toEqual(['stopped', 'stopped']);
    expect(started.every(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null)).toBe(true);
  });

  it('are started again when they die, and their own words tell why', async () => {
    const last = says({ kind: 'failed', text: 'the disk is gone' });
    const of = make((_number, start) =>
      start === 1 ? `${last}process.exitCode = 1;process.disconnect()` : alive + forever,
    );
    of.start();
    await of.settled();
    expect(of.status()).toMatchObject([{ state: 'restarting', reason: 'the disk is gone', restarts: 1 }]);
    await eventually('it runs again', () => states(of)[0] === 'running');
    expect(of.status()).toMatchObject([{ reason: '', restarts: 1 }]);
  });

  it('tell why they died until they work again', async () => {
    const of = make((_number, start) => (start === 1 ? 'process.exit(3)' : forever));
    of.start();
    await eventually(
      'the next one is on its way',
      () => states(of)[0] === 'starting' && started.length === 2,
    );
    expect(of.status()).toMatchObject([{ reason: 'ended with exit status 3', restarts: 1 }]);
    await of.stop(0);
  });

  it('are not started again with a configuration that is wrong, until somebody asks', async () => {
    const of = make((_number, start) => (start === 1 ? 'process.exit(2)' : alive + forever));
    of.start();
    await of.settled();
    expect(of.status()).toMatchObject([{ state: 'failed', reason: 'ended with exit status 2', restarts: 0 }]);
    of.start();
    await of.settled();
    expect(states(of)).toEqual(['running']);
  });

  it('are killed and replaced when they fall silent', async () => {
    const of = make(() => alive + forever, { silence: 800 });
    of.start();
    await of.settled();
    const before = of.status()[0]?.pid;
    await eventually('it was replaced', () => (of.status()[0]?.restarts ?? 0) > 0);
    expect(of.status()[0]?.pid).not.toBe(before);
  });

  it('are not blamed for the time in which their parent did not run', async () => {
    let ahead = 0;
    let looks = 0;
    const of = make(() => alive + forever, {
      silence: 2000,
      now: () => {
        looks += 1;
        return Date.now() + ahead;
      },
    });
    of.start();
    await of.settled();
    const [before] = of.status();
    // As after a suspension: an hour has passed, and nothing was read meanwhile.
    ahead = 3_600_000;
    looks = 0;
    await eventually('it has been looked at', () => looks > 0);
    expect(of.status()).toEqual([before]);
    // From then on silence counts again.
    await eventually('it is missed', () => (of.status()[0]?.restarts ?? 0) > 0 || states(of)[0] === 'hung');
  });

  it('leave behind what they had done when they die, what they had in hand as handed back', async () => {
    const done = { ...emptyBalance, taken: 5, inHand: 2, done: { '201': 3 } };
    const of = make((_number, start) =>
      start === 1
        ? says({ kind: 'report', report: report('connected', done) }) +
          'setTimeout(() => process.exit(1), 50)'
        : alive + forever,
    );
    of.start();
    await of.settled();
    await eventually('it has ended', () => states(of)[0] !== 'running');
    expect(of.earlier()).toEqual({ ...done, inHand: 0, handedBack: 2 });
    expect(describeBalance(of.earlier())).toBe('5 taken = 3 done (201: 3) + 2 handed back');
  });

  it('end by force when they do not end by themselves', async () => {
    const of = make(() => stubborn + alive + forever);
    of.start();
    await of.settled();
    await of.stop(200);
    expect(started[0]?.signalCode).toBe('SIGKILL');
  });

  it('run once each, however many ask for their replacement at the same time', async () => {
    const of = make(() => alive + forever, { count: 2 });
    of.start();
    await of.settled();
    await Promise.all([of.replace(1000), of.replace(1000)]);
    await of.settled();
    const alives = started.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
    expect(alives.map(({ pid }) => pid).sort()).toEqual(
      of
        .status()
        .map(({ pid }) => pid)
        .sort(),
    );
  });

  it('are replaced one after the other, and not any more once all is to end', async () => {
    const of = make(() => alive + forever, { count: 2 });
    of.start();
    await of.settled();
    const before = of.status().map(({ pid }) => pid);
    await of.replace(1000);
    await of.settled();
    expect(states(of)).toEqual(['running', 'running']);
    expect(of.status().some(({ pid }) => before.includes(pid))).toBe(false);
    expect(of.status().map(({ restarts }) => restarts)).toEqual([0, 0]);
    await Promise.all([of.replace(1000), of.stop(1000)]);
    expect(started.every(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null)).toBe(true);
  });

  it('may end by themselves when that is what they were started for', async () => {
    let isDone = false;
    const of = make(() => `${alive}process.disconnect()`, { once: true, allDone: () => (isDone = true) });
    of.start();
    await eventually('all is done', () => isDone);
    expect(of.status()).toMatchObject([{ state: 'stopped', reason: 'all is done' }]);
  });

  it('that cannot be started at all are tried again', async () => {
    const of = make(() => '', { spawn: () => spawn('/no/such/program') });
    of.start();
    await of.settled();
    expect(states(of)).toEqual(['restarting']);
    await of.stop(100);
  });

  it('say which connection is missing', async () => {
    const of = make(() => says({ kind: 'report', report: report('failed') }) + forever);
    of.start();
    await of.settled();
    expect(of.status()).toMatchObject([{ state: 'running', reason: 'consume connection failed: no route' }]);
  });
});
