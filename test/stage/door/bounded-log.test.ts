import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { PermanentError, RetryableError } from '../../../src/errors.js';
import type { Outcome } from '../../../src/flow/outcome.js';
import { textLogger } from '../../../src/process/log/log.js';
import { admit } from '../../../src/stage/door/admit.js';
import { boundedLog } from '../../../src/stage/door/bounded-log.js';
import { logOutcome } from '../../../src/stage/settle/log-outcome.js';
import { retryLater } from '../../../src/stage/settle/retry-later.js';
import { createMemoryStore } from '../../../src/store/memory-store.js';
import { takenOf } from '../items.js';
import { announcement } from '../placing.js';

/* What a sender can make us write, however much is sent. */

const flood = 10_000;
const lines: string[] = [];
const logger = textLogger('info', (line) => void lines.push(line.slice(24)));
const debugging = textLogger('debug', (line) => void lines.push(line.slice(24)));

beforeEach(() => {
  lines.length = 0;
  vi.useFakeTimers();
});
afterEach(() => vi.useRealTimers());

it('names the first of a minute, then counts', async () => {
  const log = boundedLog(logger, { level: 'error', most: 2, what: 'things' });
  for (let number = 0; number < 5; number += 1) log.say(`${number}`, { number });
  expect(lines).toEqual(['[ERROR] 0 number=0\n', '[ERROR] 1 number=1\n']);
  vi.advanceTimersByTime(59_000);
  log.say('5');
  expect(lines).toHaveLength(2);
  vi.advanceTimersByTime(1000);
  expect(lines.slice(2)).toEqual(['[ERROR] 4 more things, not shown one by one\n']);
  log.say('6');
  expect(lines.slice(3)).toEqual(['[ERROR] 6\n']);
  vi.advanceTimersByTime(600_000);
  expect(lines).toHaveLength(4);
  for (let number = 0; number < 4; number += 1) log.say('7');
  await log.flush();
  expect(lines.slice(4)).toEqual([
    '[ERROR] 7\n',
    '[ERROR] 7\n',
    '[ERROR] 2 more things, not shown one by one\n',
  ]);
});

it('shows all of them to whoever asks for everything', () => {
  const log = boundedLog(debugging, { level: 'warning', most: 1, what: 'things' });
  log.say('a');
  log.say('b');
  expect(lines).toEqual(['[WARNING] a\n', '[DEBUG] b\n']);
});

it('bad headers of ten thousand messages', async () => {
  const stage = admit({ source: 's', cluster: 'c', to: 't' }, { set: new Map(), remove: new Set() }, logger);
  for (let number = 0; number < flood; number += 1) {
    const warnings = [`header "x${number}" is not text and was left out`, 'oldname is bad and was left out'];
    const subject = announcement(`f${number}`);
    await stage.run(
      takenOf(subject, { message: { kind: 'post', announcement: subject, warnings } }),
      new AbortController().signal,
    );
  }
  await stage.stop?.();
  expect(lines).toHaveLength(21);
  expect(lines[0]).toContain('f0');
  expect(lines[20]).toBe(`[WARNING] ${2 * flood - 20} more headers left out, not shown one by one\n`);
});

const settled = async (settler: ReturnType<typeof logOutcome>, outcome: Outcome): Promise<void> => {
  for (let number = 0; number < flood; number += 1)
    await settler.settle(takenOf(announcement(`f${number}`)), outcome, new AbortController().signal);
  await settler.stop?.();
};

it('ten thousand messages that are refused', async () => {
  await settled(logOutcome(logger, { logReject: false }), {
    kind: 'refused',
    error: new PermanentError(417, 'the date cannot be read'),
  });
  expect(lines).toHaveLength(101);
  expect(lines[99]).toMatch(/refused: .*f99: 417 the date cannot be read/);
  expect(lines[100]).toContain(`${flood - 100} more messages were refused`);
});

it('ten thousand transfers that fail', async () => {
  const { retries } = (await createMemoryStore()).join('this process');
  await settled(retryLater(retries, { now: () => 0 }, logger), {
    kind: 'failed',
    error: new RetryableError('nobody knows the name'),
  });
  expect(lines).toHaveLength(101);
  expect(lines[100]).toContain(`${flood - 100} more failures`);
});
