import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type Lab, type Message, headersOf, openLab, pubTime } from '../options/lab.js';
import { rightBody, startOddServer, type OddServer } from '../servers/odd-http-server.js';

/* A server that takes every connection and never says a word, and one that is well, announced in turn. */

let lab: Lab;
let dead: OddServer;
let live: OddServer;

beforeEach(async () => {
  lab = openLab();
  [dead, live] = [await startOddServer(), await startOddServer()];
});

afterEach(async () => {
  lab.remove();
  await dead.stop();
  await live.stop();
});

const files = 100;

/** Everything as it is, only sooner: what waits for a silent server is given up, and one that failed is tried again. */
const givenUp = { patience: 1000, grace: 300 };
const triedAgain = { firstPause: 300, longestPause: 3000 };

async function arrived(prefix: string, count: number): Promise<void> {
  const names = (): string[] => readdirSync(lab.target).filter((name) => name.startsWith(prefix));
  await vi.waitUntil(() => names().length === count, 50_000);
}

const messages = (): Message[] =>
  Array.from({ length: files }, (_, number) => [
    {
      body: `${pubTime} ${dead.url} stall-before/dead-${number}`,
      headers: headersOf(rightBody.toString()),
    },
    { body: `${pubTime} ${live.url} right/live-${number}`, headers: headersOf(rightBody.toString()) },
  ]).flat();

it('a dead server costs the files of another nothing', async () => {
  const { waiting, log } = await lab.run('subscribe', [], {
    messages: messages(),
    breaker: givenUp,
    // The time limit of a transfer is five minutes: whoever waits for the dead server does not come to an end here.
    until: () => arrived('live-', files),
  });
  expect(live.requests).toHaveLength(files);
  // No more than half of the eight lanes ever wait for it.
  expect(dead.requests.length).toBeLessThanOrEqual(4);
  expect(waiting).toBeGreaterThanOrEqual(files - 10);
  expect(log.split('\n').filter((line) => line.includes(dead.url)).length).toBeLessThan(5);
});

it('one that is mended is asked again, and nothing is lost', async () => {
  const { log } = await lab.run('subscribe', ['attempts 1', 'lanes 2'], {
    breaker: triedAgain,
    messages: Array.from({ length: 8 }, (_, number) => ({
      body: `${pubTime} ${dead.url} fails-at-first/${number}`,
      headers: headersOf(rightBody.toString()),
    })),
    until: () => arrived('', 8),
  });
  expect(log).toContain('left alone');
  expect(log).toContain('answers again');
});
