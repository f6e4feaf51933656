/** What holds after every fault, checked in one place. */
import { expect } from 'vitest';
import { eventually, type TestHost } from '../servers/rabbitmq.js';
import { treeOf } from '../servers/tree-of.js';

/** What a delivery record says. */
export interface Said {
  readonly code: string;
  readonly text: string;
}

/**
 * Reads the records of a queue: each call takes in what has come meanwhile, and answers all so far, by path (with its
 * leading slash), in the order they came. A record that stands there twice to the letter counts once: its connection
 * went before the broker's confirm, so it was sent again.
 */
export function recordReader(
  host: TestHost,
  queue: string,
): () => Promise<ReadonlyMap<string, readonly Said[]>> {
  const found = new Map<string, Said[]>();
  const sent = new Set<string>();
  return async () => {
    for (const { content, properties } of await host.messages(queue)) {
      const body = content.toString();
      const headers = properties.headers as Record<string, string> | undefined;
      const text = headers?.['message'] ?? '';
      if (sent.has(`${body} ${text}`)) continue;
      sent.add(`${body} ${text}`);
      const [, , path = '', code = ''] = body.split(' ');
      found.set(path, [...(found.get(path) ?? []), { code, text }]);
    }
    return found;
  };
}

/** The line in which a program accounts for what it took: both sides must be equal. Answers what it took. */
export function expectBalance(output: string): number {
  const [line = '', taken = ''] = /(\d+) taken(?: \([^)]*\))? = (.*)/.exec(output) ?? [];
  expect(line, `no balance in: ${output}`).not.toBe('');
  const parts = (line.split(' = ')[1] ?? '').replaceAll(/\([^)]*\)/gu, '').split(' + ');
  const sum = parts.reduce((total, part) => total + Number.parseInt(part, 10), 0);
  expect(sum, line).toBe(Number(taken));
  return Number(taken);
}

/** Everything announced is there, whole, and nothing else is: no partial file and no private name. */
export function expectTree(tree: string, wanted: ReadonlyMap<string, string>): void {
  expect(treeOf(tree)).toEqual(wanted);
}

/**
 * Every path has its final record, and as many more as its item can have been repeated: at most `faults`, each
 * marked. A record that was confirmed although we never heard of it is such a repeat too.
 */
export function expectRecords(
  records: ReadonlyMap<string, readonly Said[]>,
  paths: Iterable<string>,
  faults: number,
): void {
  for (const path of paths) {
    const all = records.get(`/${path}`) ?? [];
    expect(all.at(-1)?.code, `${path}: ${JSON.stringify(all)}`).toBe('201');
    const unmarked = all.filter(({ text }) => !text.includes('redelivered'));
    expect(unmarked.length, `${path}: ${JSON.stringify(all)}`).toBeLessThanOrEqual(1);
    expect(all.length, `${path}: ${JSON.stringify(all)}`).toBeLessThanOrEqual(1 + faults);
  }
}

/** The queue is empty, and nobody holds a message of it. */
export async function expectQueueAtRest(host: TestHost, queue: string): Promise<void> {
  await eventually(
    `${queue} is empty and nothing is unacknowledged`,
    async () => (await host.depth(queue)) === 0 && (await host.unacknowledged(queue)) === 0,
  );
}
