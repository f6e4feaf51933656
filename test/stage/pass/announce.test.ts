import { describe, expect, it } from 'vitest';
import { ExchangeUnusable } from '../../../src/broker/broker.js';
import type { Outgoing, Publisher } from '../../../src/broker/broker.js';
import { PermanentError, RetryableError } from '../../../src/errors.js';
import { type AnnounceOptions, announce, exchangeFor } from '../../../src/stage/pass/announce.js';
import { vectorsOf } from '../../message/vectors.js';
import { changed, endOf, gained, listening, written } from '../items.js';

interface Kept extends Publisher {
  readonly sent: Outgoing[];
}

const publisher = (answer: () => { routed: boolean } = () => ({ routed: true })): Kept => {
  const sent: Outgoing[] = [];
  return {
    sent,
    publish: async (message) => {
      sent.push(message);
      return answer();
    },
    drained: async () => undefined,
  };
};

const options: AnnounceOptions = {
  exchange: 'xpublic',
  split: 0,
  persistent: true,
  requireSubscriber: false,
};
const item = { next: written('/a/f', 'x', { topic: 'v02.post.a' }) };

describe('announce', () => {
  it('publishes and waits for the confirmation', async () => {
    const to = publisher();
    await gained(announce(to, options, listening()), item);
    expect(to.sent).toMatchObject([{ exchange: 'xpublic', topic: 'v02.post.a', persistent: true }]);
    expect(Buffer.from(to.sent[0]?.body ?? '').toString()).toBe('20160120070000.123 http://d/ /a/f');
  });

  it('says once for an exchange that nobody is subscribed, and goes on', async () => {
    const logger = listening();
    const stage = announce(
      publisher(() => ({ routed: false })),
      { ...options, split: 2 },
      logger,
    );
    const other = { next: written('/a/f', 'y') };
    for (let n = 0; n < 3; n += 1) {
      await gained(stage, item);
      await gained(stage, other);
    }
    const exchanges = new Set(
      [item, other].map(({ next }) =>
        next.change.kind === 'write'
          ? exchangeFor({ exchange: 'x', split: 2 }, `d,${next.change.sum?.value ?? ''}`)
          : '',
      ),
    );
    expect(logger.lines).toHaveLength(exchanges.size);
    expect(logger.lines[0]).toMatch(/^warning: nobody is subscribed/);
  });

  it('fails where a subscriber is required', async () => {
    const stage = announce(
      publisher(() => ({ routed: false })),
      { ...options, requireSubscriber: true },
      listening(),
    );
    expect(await endOf(stage, item)).toMatch(/^failed: posted, but nobody is subscribed/);
  });

  it('keeps for later what a missing or closed exchange does not take', async () => {
    const stage = (error: Error): ReturnType<typeof announce> =>
      announce(
        publisher(() => {
          throw error;
        }),
        options,
        listening(),
      );
    expect(await endOf(stage(new ExchangeUnusable('exchange xpublic does not exist')), item)).toMatch(
      /^failed: .*does not exist/,
    );
    expect(await endOf(stage(new PermanentError(503, 'the broker refuses a message')), item)).toMatch(
      /^refused 503/,
    );
    expect(await endOf(stage(new PermanentError(417, 'does not fit into AMQP')), item)).toMatch(
      /^refused 417/,
    );
    expect(await endOf(stage(new RetryableError('stopped')), item)).toMatch(/^failed/);
  });

  it('refuses what cannot be written in the format, and has nothing to say of directories', async () => {
    const to = publisher();
    const stage = announce(to, options, listening());
    expect(await endOf(stage, { next: written('/a/b\nf', 'x') })).toMatch(/^refused 417/);
    await gained(stage, { next: changed('/a', { kind: 'make-directory' }) });
    expect(to.sent).toEqual([]);
  });
});

describe('exchangeFor', () => {
  it.each(vectorsOf('exchange-split'))('$id', ({ input, output }) => {
    const { sum, split } = input as { sum: string; split: number };
    expect(exchangeFor({ exchange: 'xwinnow', split }, sum)).toBe(`xwinnow${String(output['py-v2'])}`);
  });
  it('adds nothing without a split', () => {
    expect(exchangeFor({ exchange: 'xpublic', split: 0 }, 'd,1')).toBe('xpublic');
  });
});
