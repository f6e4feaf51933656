import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ExchangeUnusable } from '../../src/broker/broker.js';
import type { Delivery, Outgoing } from '../../src/broker/broker.js';
import { PermanentError, RetryableError } from '../../src/errors.js';
import type { Taken } from '../../src/flow/item.js';
import type { Outcome } from '../../src/flow/outcome.js';
import { silentLogger } from '../../src/logger.js';
import { generationOf } from '../../src/message/generation.js';
import { decodeV02 } from '../../src/message/v02.js';
import { acknowledge } from '../../src/stage/settle/acknowledge.js';
import { createFailures } from '../../src/process/work/failures.js';
import { exitCode } from '../../src/stage/settle/exit-code.js';
import { logOutcome } from '../../src/stage/settle/log-outcome.js';
import { type ReportOptions, report } from '../../src/stage/settle/report.js';
import { retryDelay, retryLater } from '../../src/stage/settle/retry-later.js';
import { tidy } from '../../src/stage/settle/tidy.js';
import type { Store } from '../../src/store/store.js';
import {
  changed,
  listening,
  never,
  openStore,
  placedIn,
  retried,
  takenOf,
  targetIn,
  written,
} from './items.js';

const subject = written('/a/f', 'x');
const failedWith = (error = new RetryableError('no answer')): Outcome => ({ kind: 'failed', error });
const all: Readonly<Record<Outcome['kind'], Outcome>> = {
  done: { kind: 'done', code: 201, text: 'Downloaded' },
  dropped: { kind: 'dropped', by: 'reject (f:1)' },
  refused: { kind: 'refused', error: new PermanentError(499, 'wrong sum') },
  failed: failedWith(),
  'handed back': { kind: 'handed back' },
};

describe('retryLater', () => {
  let store: Store;
  let now = 1_500_000_000_000;
  beforeEach(async () => {
    now = 1_500_000_000_000;
    store = await openStore({ now: () => now });
  });
  afterEach(async () => {
    await store.close();
  });

  const body = '20160120070000.123 http://d/ /a/f';
  const delivery: Delivery = {
    exchange: 'xpublic',
    topic: 'v02.post.a',
    headers: { sum: 'd,900150983cd24fb0d6963f7d28e17f72', number: 5, nothing: null },
    contentType: 'text/plain',
    body: Buffer.from(body),
    redelivered: false,
    ack: () => undefined,
    requeue: () => undefined,
    isLost: () => false,
  };
  const settle = async (item: Taken, outcome: Outcome): Promise<void> =>
    retryLater(store.retries, { now: () => now }, silentLogger).settle(item, outcome, never());
  const fresh = (): Taken => takenOf(subject, { delivery });

  it('only keeps what failed', async () => {
    for (const outcome of Object.values(all)) if (outcome.kind !== 'failed') await settle(fresh(), outcome);
    expect((await store.retries.size()).waiting).toBe(0);
  });

  it('keeps the message as it came, on disk when it resolves', async () => {
    await settle(fresh(), failedWith());
    expect(await store.retries.take(1)).toEqual([]);
    now += 5000;
    expect(await store.retries.take(1)).toMatchObject([
      {
        exchange: 'xpublic',
        topic: 'v02.post.a',
        body,
        contentType: 'text/plain',
        tries: 1,
        reason: 'no answer',
        headers: { number: '5' },
      },
    ]);
  });

  it('waits as long as the failure asks for', async () => {
    await settle(fresh(), failedWith(new RetryableError('busy', { notBefore: new Date(now + 90_000) })));
    expect((await store.retries.size()).nextDue).toBe(now + 90_000);
  });

  it('is found by a newer event of its path, even when it failed before it had entered it', async () => {
    await settle(
      placedIn('/r', 'f', subject, { delivery, counterpart: targetIn('/r', 'old') }),
      failedWith(),
    );
    // The other half of a rename has announcements of its own.
    expect(await store.paths.enter(['/r/old'], now)).toBe('entered');
    expect(await store.paths.enter(['/r/f'], now)).toBe('entered');
    now += 5000;
    expect(await store.retries.take(1)).toMatchObject([{ superseded: true }]);
  });

  it('keeps a block such that no other block of its file supersedes it', async () => {
    const parts = { method: 'i', blockSize: 10, count: 3, remainder: 6, number: 0 } as const;
    const block = changed('/a/f', { kind: 'write', parts, sum: undefined });
    await settle(placedIn('/r', 'f', block, { delivery }), failedWith());
    const party = generationOf(block)?.key;
    expect(await store.paths.enter(['/r/f'], now, undefined, undefined, party)).toBe('entered');
    now += 5000;
    expect(await store.retries.take(1)).toMatchObject([{ superseded: false, party }]);
  });

  it('waits longer each time', async () => {
    await settle(fresh(), failedWith());
    now += 5000;
    const [due] = await store.retries.take(1);
    if (due === undefined) throw new Error('nothing is due');
    await settle(takenOf(subject, { retry: retried({ id: due.id, tries: due.tries }) }), failedWith());
    expect(await store.retries.size()).toMatchObject({ waiting: 1, nextDue: now + 10_000 });
    now += 10_000;
    expect(await store.retries.take(1)).toMatchObject([{ tries: 2 }]);
    expect([0, 1, 2, 5, 6, 50].map(retryDelay)).toEqual([5000, 10_000, 20_000, 160_000, 300_000, 300_000]);
  });
});

describe('report', () => {
  let moment = 2500;
  beforeEach(() => {
    moment = 2500;
  });
  const options: ReportOptions = {
    route: async () => ({ exchange: 'xs_me', dialect: 'log' }),
    host: 'h.example',
    user: 'me',
    now: () => moment,
  };
  function sending(fail?: () => Error | undefined): {
    sent: Outgoing[];
    settle: (item: Taken, outcome: Outcome) => Promise<void>;
    lines: string[];
  } {
    const sent: Outgoing[] = [];
    const logger = listening();
    const settler = report(
      {
        publish: async (message) => {
          const error = fail?.();
          if (error !== undefined) throw error;
          sent.push(message);
          return { routed: true };
        },
        drained: async () => undefined,
      },
      options,
      logger,
    );
    return {
      sent,
      lines: logger.lines,
      settle: async (item, outcome) => settler.settle(item, outcome, never()),
    };
  }
  const item = { ...takenOf(subject, { takenAt: 1000 }), subject };

  it('sends one record for what has its final end, none for the rest', async () => {
    const { sent, settle } = sending();
    for (const outcome of Object.values(all)) await settle(item, outcome);
    expect(sent.map(({ exchange, topic }) => [exchange, topic])).toEqual([
      ['xs_me', 'v02.log'],
      ['xs_me', 'v02.log'],
    ]);
    // A record about which nobody asks whether somebody reads it need not come back.
    expect(sent.every(({ mandatory }) => mandatory === false)).toBe(true);
    const decoded = sent.map((message) => decodeV02(message));
    expect(decoded).toMatchObject([
      {
        kind: 'report',
        report: { code: 201, text: 'Downloaded', host: 'h.example', user: 'me', elapsed: 1.5 },
      },
      { kind: 'report', report: { code: 499, text: 'wrong sum' } },
    ]);
  });

  it('tells what the text of a hook says in one line, whatever is in it', async () => {
    const { sent, settle } = sending();
    await settle(item, {
      kind: 'refused',
      error: new PermanentError(403, 'two\nlines and \u001b[31m colour'),
    });
    expect(sent[0]?.headers['message']).toBe('two lines and  [31m colour');
  });

  it('speaks of a malformed message as far as it could be read', async () => {
    const { sent, settle } = sending();
    const rejected = { kind: 'rejected' as const, code: 417, reason: 'bad sum' };
    const outcome: Outcome = { kind: 'refused', error: new PermanentError(417, 'bad sum') };
    await settle(takenOf(subject, { message: rejected }), outcome);
    expect(sent).toEqual([]);
    await settle(takenOf(subject, { message: { ...rejected, about: subject } }), outcome);
    expect(sent).toHaveLength(1);
  });

  it('goes on without records where the pump takes none, and says so once', async () => {
    const { lines, settle } = sending(() => new ExchangeUnusable('exchange xs_me does not exist'));
    await settle(item, all.done);
    await settle(item, all.done);
    expect(lines).toEqual([expect.stringMatching(/^warning: delivery records cannot be sent/)]);
  });

  it('asks again after a minute, and tells how many were lost', async () => {
    let gone = true;
    const { sent, lines, settle } = sending(() => (gone ? new ExchangeUnusable('no exchange') : undefined));
    await settle(item, all.done);
    gone = false;
    await settle(item, all.done);
    expect(sent).toEqual([]);
    moment += 60_000;
    await settle(item, all.done);
    await settle(item, all.done);
    expect(sent).toHaveLength(2);
    expect(lines[1]).toBe('warning: delivery records can be sent again; 2 were not sent');
  });

  it('goes on with the next record when one cannot be sent', async () => {
    const errors = [
      new PermanentError(503, 'the broker refuses a message'),
      new PermanentError(417, 'does not fit into AMQP'),
    ];
    const { sent, lines, settle } = sending(() => errors.pop());
    for (let n = 0; n < 3; n += 1) await settle(item, all.done);
    expect(lines).toEqual([
      expect.stringMatching(/^error: no delivery record can be sent for .*does not fit/),
      expect.stringMatching(/^error: no delivery record can be sent for .*the broker refuses a message/),
    ]);
    expect(sent).toHaveLength(1);
  });

  it('keeps the item when it was stopped before the broker had the record', async () => {
    const { settle } = sending(() => new RetryableError('stopped'));
    await expect(settle(item, all.done)).rejects.toThrow('stopped');
  });
});

describe('the other settlers', () => {
  it('tidy removes what is in flight', async () => {
    let discarded = 0;
    const inflight = {
      path: '/r/.f',
      install: async () => undefined,
      discard: async () => void (discarded += 1),
    };
    await tidy().settle({ ...takenOf(subject), inflight }, all.failed, never());
    await tidy().settle(takenOf(subject), all.failed, never());
    expect(discarded).toBe(1);
  });

  it('acknowledge tells the origin', async () => {
    const item = takenOf(subject);
    await acknowledge().settle(item, all.done, never());
    expect(item.closed).toEqual([all.done]);
  });

  it('logOutcome says what was refused, and the rest when asked', async () => {
    const lines = async (logReject: boolean): Promise<string[]> => {
      const logger = listening();
      const settler = logOutcome(logger, { logReject });
      for (const outcome of Object.values(all))
        await settler.settle({ ...takenOf(subject), subject }, outcome, never());
      await settler.settle(
        { ...takenOf(subject), subject },
        { kind: 'done', code: 304, text: 'Not modified' },
        never(),
      );
      return logger.lines.filter((line) => !line.startsWith('debug')).map((line) => line.slice(0, 14));
    };
    expect(await lines(false)).toEqual(['error: refused']);
    expect(await lines(true)).toEqual(['info: rejected', 'error: refused', 'info: unchange']);
  });

  it('logOutcome makes no line that nobody writes', async () => {
    const logger = listening();
    const unread: Taken = {
      ...takenOf(subject),
      get message(): never {
        throw new Error('looked at for a line');
      },
    };
    const settle = async (isDebugging: boolean): Promise<void> =>
      logOutcome({ ...logger, isDebugging }, { logReject: false }).settle(unread, all.done, never());
    await settle(false);
    expect(logger.lines).toEqual([]);
    await expect((async () => settle(true))()).rejects.toThrow('looked at for a line');
  });

  it('exitCode counts what was not posted', async () => {
    const failures = createFailures(silentLogger);
    const settler = exitCode(failures);
    for (const outcome of Object.values(all))
      await settler.settle({ path: '/f', kind: 'file' }, outcome, never());
    expect(failures.count()).toBe(3);
  });
});
