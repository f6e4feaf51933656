import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { appendFile, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { followFile } from '../../src/process/log/follow.js';
import { nameInHosts } from '../../src/process/places/host.js';
import { createLogger } from '../../src/process/log/log.js';
import { knownQueueName, nameQueue } from '../../src/process/topology/queue-name.js';
import { bytesText, durationText } from '../../src/process/work/numbers.js';
import { eventually } from '../servers/rabbitmq.js';

let directory: string;
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'process '))));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

it('numbers are written for people', () => {
  expect([0, 1023, 1024, 1536, 250 * 1024, 5 * 1024 ** 3].map(bytesText)).toEqual([
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '250 KiB',
    '5.0 GiB',
  ]);
  expect([1, 90, 300, 7200, 345_600].map(durationText)).toEqual([
    '1 second',
    '90 seconds',
    '5 minutes',
    '2 hours',
    '4 days',
  ]);
});

it('the full name of a host is found beside its short one', () => {
  const hosts = '127.0.0.1 localhost\n# 10.0.0.9 box.wrong\n10.0.0.1\tbox.example.org box # here\n';
  expect(nameInHosts(hosts, 'box')).toBe('box.example.org');
  expect(nameInHosts('10.0.0.1 box\n', 'box')).toBe('box');
  expect(nameInHosts(hosts, 'boxes')).toBeUndefined();
});

describe('log lines', () => {
  const linesOf = async (
    format: 'text' | 'json',
    work: (log: Awaited<ReturnType<typeof createLogger>>) => void,
  ) => {
    const lines: string[] = [];
    work(
      await createLogger({
        level: 'info',
        format,
        write: (line) => lines.push(line),
        base: { program: 'sr_x' },
      }),
    );
    return lines;
  };

  it('are plain, one for each event whatever a stranger wrote, from the level asked for', async () => {
    const lines = await linesOf('text', (log) => {
      log.debug('not this');
      log.info('a\n2026-01-01 [ERROR] forged', { code: 201, name: 'x' });
    });
    expect(lines).toEqual([
      expect.stringMatching(
        /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \[INFO\] a \| 2026-01-01 \[ERROR\] forged code=201 name=x\n$/,
      ),
    ]);
  });

  it('are JSON when asked', async () => {
    const [line = ''] = await linesOf('json', (log) => {
      log.debug('not this');
      log.warning('text', { code: 304 });
    });
    expect(JSON.parse(line)).toMatchObject({ level: 'warning', message: 'text', code: 304, program: 'sr_x' });
  });
});

describe('the name of a queue', () => {
  const naming = (kind: 'generated' | 'fixed' = 'generated') => ({
    wanted: kind === 'fixed' ? { kind, name: 'q_me.fixed' } : { kind, prefix: 'q_me.sr_x.c' },
    file: join(directory, 'state', 'name.qname'),
    older: [join(directory, 'older')],
  });

  it('is made once and kept', () => {
    expect(knownQueueName(naming())).toBeUndefined();
    const { name } = nameQueue(naming());
    expect(name).toMatch(/^q_me\.sr_x\.c\.\d{8}\.\d{8}$/);
    expect(nameQueue(naming())).toEqual({ name });
    expect(knownQueueName(naming())).toBe(name);
    expect(readFileSync(naming().file, 'utf8')).toBe(name);
  });

  it('is taken over from an earlier version', () => {
    writeFileSync(join(directory, 'older'), 'q_me.sr_x.c.11111111.22222222\n');
    expect(nameQueue(naming()).remark).toContain('taken over');
    rmSync(join(directory, 'older'));
    expect(nameQueue(naming()).name).toBe('q_me.sr_x.c.11111111.22222222');
  });

  it('that is kept wins over the configured one, and says so', () => {
    expect(nameQueue(naming('fixed'))).toEqual({ name: 'q_me.fixed' });
    const other = { ...naming(), wanted: { kind: 'fixed', name: 'q_me.other' } as const };
    expect(nameQueue(other)).toEqual({
      name: 'q_me.fixed',
      remark: 'the queue q_me.fixed of earlier runs is used, not q_me.other; run cleanup to change it',
    });
  });
});

it('a log is followed from its last lines over rotations until it is enough', async () => {
  const file = join(directory, 'a.log');
  await writeFile(file, 'first line\nsecond line\nthird line\n');
  const seen: string[] = [];
  const enough = new AbortController();
  const write = async (line: string): Promise<void> => void seen.push(line);
  const following = followFile(file, 15, write, enough.signal);
  await eventually('the end', () => seen.length > 0);
  // The line that was cut is left out.
  expect(seen).toEqual(['third line']);
  await appendFile(file, 'four');
  await appendFile(file, 'th\n');
  await eventually('the fourth', () => seen.includes('fourth'));
  await rename(file, `${file}.old`);
  await appendFile(`${file}.old`, 'late\n');
  await writeFile(file, 'fifth\n');
  await eventually('the fifth', () => seen.includes('fifth'));
  enough.abort();
  expect(await following).toBe(true);
  expect(seen).toEqual(['third line', 'fourth', 'late', 'fifth']);
  expect(await followFile(join(directory, 'none'), 10, write, new AbortController().signal)).toBe(false);
});
