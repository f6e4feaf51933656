import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ConnectionStatus } from '../../../src/broker/connection.js';
import type { Outgoing } from '../../../src/broker/broker.js';
import { FatalError, RetryableError } from '../../../src/errors.js';
import { silentLogger } from '../../../src/logger.js';
import {
  openSpoolingPublisher,
  type SpoolingPublisher,
} from '../../../src/process/posting/spooling-publisher.js';
import { openWay } from '../../../src/process/posting/way.js';
import type { Drained } from '../../../src/store/spool/spool-drain.js';

/* Where a post goes while a broker comes and goes. Time is made of steps; broker and spool only take notes. */

const PATIENCE = 2000;
const there: ConnectionStatus = {
  state: 'connected',
  reason: '',
  blocked: undefined,
  place: 'amqp://alice@pump',
  since: 0,
  generation: 1,
};
const away: ConnectionStatus = { ...there, state: 'disconnected', reason: 'cannot reach the pump' };
const dialling: ConnectionStatus = { ...there, state: 'connecting' };
const nothing: Drained = { posted: 0, expired: 0, apart: 0, busy: false };

interface Post {
  readonly topic: string;
  readonly confirm: () => void;
  readonly refuse: (error: Error) => void;
}

let status: ConnectionStatus;
let listeners: Set<(status: ConnectionStatus) => void>;
/** On their way, and the topics that are in the spool. */
let sent: Post[];
let kept: string[];
let said: string[];
let failures: string[];
let full: Error | undefined;
let drain: (stop: AbortSignal) => Promise<Drained>;
let prepare: () => Promise<void>;
let drains: number;
let open: SpoolingPublisher | undefined;

const become = (next: ConnectionStatus): void => {
  status = next;
  for (const listener of [...listeners]) listener(next);
};

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  [status, listeners] = [dialling, new Set()];
  [sent, kept, said, failures, full, drains] = [[], [], [], [], undefined, 0];
  drain = async () => {
    kept = [];
    return { ...nothing, posted: 1 };
  };
  prepare = async () => undefined;
});
afterEach(() => {
  open?.close();
  vi.useRealTimers();
});

function start(): SpoolingPublisher {
  const connection = {
    status: () => status,
    onChange: (listener: (status: ConnectionStatus) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  open = openSpoolingPublisher({
    publisher: {
      publish: ({ topic }, stop) =>
        new Promise((resolve, reject) => {
          stop?.addEventListener('abort', () => reject(new RetryableError('taken back')));
          sent.push({ topic, confirm: () => resolve({ routed: true }), refuse: reject });
        }),
      drained: async () => undefined,
    },
    way: openWay(connection),
    spool: {
      directory: '/spool',
      append: async ({ topic }) => {
        if (full !== undefined) throw full;
        kept.push(topic);
      },
      idle: async () => undefined,
      depth: async () => kept.length,
    },
    prepare: () => prepare(),
    drain: (stop) => {
      drains += 1;
      return drain(stop);
    },
    failed: (text) => failures.push(text),
    logger: { ...silentLogger, warning: (text) => void said.push(text) },
    patience: PATIENCE,
  });
  return open;
}

const messageOf = (topic: string): Outgoing => ({
  exchange: 'xs_alice',
  topic,
  headers: {},
  body: Buffer.from(topic),
  contentType: 'text/plain',
});

/** Publishes, and tells later how it ended. */
function publish(publisher: SpoolingPublisher, topic: string, stop?: AbortSignal): { end: string } {
  const post = { end: 'open' };
  publisher.publish(messageOf(topic), stop).then(
    () => (post.end = 'safe'),
    (thrown: unknown) => (post.end = (thrown as Error).message),
  );
  return post;
}

/** Lets so much time pass, and everything happen that is due. */
const pass = (milliseconds = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(milliseconds);
const topics = (): string[] => sent.map(({ topic }) => topic);

describe('a post', () => {
  it('waits for the first answer of the broker, and goes there', async () => {
    const publisher = start();
    const post = publish(publisher, 'a');
    await pass(PATIENCE - 1);
    expect([topics(), kept]).toEqual([[], []]);
    become(there);
    await pass();
    expect([topics(), kept, post.end]).toEqual([['a'], [], 'open']);
    sent[0]?.confirm();
    await pass();
    expect([post.end, publisher.spooled()]).toEqual(['safe', 0]);
  });

  it('is kept at once when the broker refuses the first connection', async () => {
    const publisher = start();
    const post = publish(publisher, 'a');
    become(away);
    await pass();
    expect([kept, post.end, publisher.spooled()]).toEqual([['a'], 'safe', 1]);
    expect(said).toEqual([expect.stringMatching(/^cannot reach the pump; posts are kept in \/spool/u)]);
  });

  it('is kept when nobody answers in time', async () => {
    const post = publish(start(), 'a');
    await pass(PATIENCE);
    expect([kept, post.end]).toEqual([['a'], 'safe']);
    expect(said).toEqual([expect.stringMatching(/^no answer from amqp:\/\/alice@pump yet; posts are kept/u)]);
  });

  it.each([
    ['is lost', away, /^cannot reach the pump/u],
    ['raises an alarm', { ...there, blocked: 'low on memory' }, /takes no messages now: low on memory/u],
  ])('is kept, those on their way first, when the broker %s for long', async (_what, gone, reason) => {
    const publisher = start();
    become(there);
    await pass();
    const [a, b] = [publish(publisher, 'a'), publish(publisher, 'b')];
    await pass();
    sent[0]?.confirm();
    await pass();
    become(gone);
    await pass(PATIENCE - 1);
    expect(kept).toEqual([]);
    await pass(1);
    const c = publish(publisher, 'c');
    await pass();
    expect([a.end, b.end, c.end, kept]).toEqual(['safe', 'safe', 'safe', ['b', 'c']]);
    expect(said).toEqual([expect.stringMatching(reason)]);
  });

  it('stays on its way when the broker is back soon', async () => {
    const publisher = start();
    become(there);
    await pass();
    publish(publisher, 'a');
    await pass();
    for (let times = 0; times < 3; times += 1) {
      become(away);
      await pass(PATIENCE - 1);
      become(there);
      await pass();
    }
    expect([topics(), kept]).toEqual([['a'], []]);
  });

  it('never overtakes what waits', async () => {
    kept = ['earlier'];
    let finish = (): void => undefined;
    drain = () =>
      new Promise((resolve) => {
        finish = () => {
          kept = [];
          resolve({ ...nothing, posted: 1 });
        };
      });
    const publisher = start();
    publish(publisher, 'a');
    become(there);
    // Draining may take its time.
    await pass(PATIENCE * 5);
    expect([topics(), kept]).toEqual([[], ['earlier']]);
    finish();
    await pass();
    expect(topics()).toEqual(['a']);
  });

  it('is kept behind what another process drains for too long, and goes directly afterwards', async () => {
    kept = ['earlier'];
    let busy = true;
    drain = async () => {
      if (!busy) kept = [];
      return { ...nothing, busy };
    };
    const publisher = start();
    const a = publish(publisher, 'a');
    become(there);
    await pass(PATIENCE + 500);
    expect([a.end, kept]).toEqual(['safe', ['earlier', 'a']]);
    expect(said).toEqual([expect.stringMatching(/^another process is draining the spool/u)]);
    busy = false;
    await pass(500);
    publish(publisher, 'b');
    await pass();
    expect([kept, topics()]).toEqual([[], ['b']]);
  });

  it('goes directly although what waits cannot be posted; that is said once, at the end nobody tries again', async () => {
    kept = ['earlier'];
    drain = () => Promise.reject(new RetryableError('the exchange is missing'));
    const publisher = start();
    become(there);
    await pass();
    publish(publisher, 'a');
    await pass();
    sent[0]?.confirm();
    await publisher.finish(new AbortController().signal);
    expect([topics(), drains]).toEqual([['a'], 1]);
    expect(failures).toEqual(['what waits in /spool cannot be posted: the exchange is missing']);
  });

  it('that cannot be kept fails', async () => {
    full = new RetryableError('the disk is full');
    const post = publish(start(), 'a');
    become(away);
    await pass();
    expect(post.end).toBe('the disk is full');
  });

  it('that is refused for what it is fails, and is not kept', async () => {
    const publisher = start();
    become(there);
    await pass();
    const post = publish(publisher, 'a');
    await pass();
    sent[0]?.refuse(new Error('too large'));
    await pass();
    expect([post.end, kept]).toEqual(['too large', []]);
  });

  it('that is stopped fails once, whatever comes later', async () => {
    const stop = new AbortController();
    const publisher = start();
    const held = publish(publisher, 'a', stop.signal);
    stop.abort();
    const late = publish(publisher, 'b', stop.signal);
    become(away);
    await pass();
    expect([held.end, late.end, kept]).toEqual([
      expect.stringMatching(/^Stopped/u),
      expect.stringMatching(/^Stopped/u),
      [],
    ]);
    await publisher.drained();
  });

  it('fails where the exchanges can never be had', async () => {
    prepare = () => Promise.reject(new FatalError('not allowed'));
    const publisher = start();
    const held = publish(publisher, 'a');
    become(there);
    await pass();
    const late = publish(publisher, 'b');
    await pass();
    expect([held.end, late.end, kept]).toEqual(['not allowed', 'not allowed', []]);
  });
});

describe('the end', () => {
  it('posts what was kept when the broker is back, and the word of it is over', async () => {
    const publisher = start();
    publish(publisher, 'a');
    become(away);
    await pass();
    expect(kept).toEqual(['a']);
    become(there);
    await pass();
    expect([kept, drains]).toEqual([[], 1]);
    await publisher.finish(new AbortController().signal);
    expect(drains).toBe(1);
  });

  it('leaves what was kept while the broker is away', async () => {
    const publisher = start();
    publish(publisher, 'a');
    become(away);
    await pass();
    await publisher.finish(new AbortController().signal);
    expect([kept, drains, publisher.spooled()]).toEqual([['a'], 0, 1]);
  });
});
