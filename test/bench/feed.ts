/** Makes files on the web server and announces them at a steady rate; takes them away when their records come. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Arena } from './arena.js';
import { compose } from './messages.js';
import type { Template } from './messages.js';
import { median } from './statistics.js';
import { md5 } from './trees.js';

export interface FeedOptions {
  /** Files a second. */
  readonly rate: number;
  readonly template: Template;
  /** The tree of the subscriber. */
  readonly target: string;
}

export interface Feed {
  readonly counts: () => { readonly posted: number; readonly recorded: number; readonly refused: number };
  /** Milliseconds from post to record of those recorded since the last call. */
  readonly latencies: () => { readonly latency: number; readonly slowest: number };
  /** Posts no more, and waits until the last record is there, or the milliseconds are over. */
  readonly end: (patience: number) => Promise<void>;
}

const TICK = 50;
const DIRECTORIES = 50;
const queue = 'q_alice.records';

const pubTimeNow = (): string => new Date().toISOString().replace(/[-:TZ]/gu, '');

export async function startFeed(arena: Arena, { rate, template, target }: FeedOptions): Promise<Feed> {
  const { admin, web } = arena;
  const waiting = new Map<string, number>();
  const counts = { posted: 0, recorded: 0, refused: 0 };
  let recent: number[] = [];
  let problem: unknown;
  for (let number = 0; number < DIRECTORIES; number += 1)
    await mkdir(join(web.root, `d${number}`), { recursive: true });

  const remove = (path: string): void => {
    Promise.all([web.root, target].map((root) => rm(join(root, path), { force: true }))).catch(
      (error: unknown) => (problem = error),
    );
  };
  await admin.queue(queue, 'xs_bob', '#');
  await admin.listen(queue, (body) => {
    const [, , path = '', code = ''] = body.split(' ');
    const posted = waiting.get(path);
    if (posted === undefined) return;
    waiting.delete(path);
    recent.push(performance.now() - posted);
    counts.recorded += 1;
    if (code !== '201') counts.refused += 1;
    remove(path);
  });

  const post = async (number: number): Promise<void> => {
    const path = `d${number % DIRECTORIES}/f${number}`;
    const content = Buffer.alloc(1024, `${number} `);
    await writeFile(join(web.root, path), content);
    const entry = { path, size: content.length, sum: md5(content) };
    waiting.set(path, performance.now());
    admin.publish('xpublic', compose({ ...template, pubTime: pubTimeNow() }, entry));
  };
  const started = performance.now();
  let ended = false;
  const feeding = (async () => {
    while (!ended) {
      const due = Math.floor(((performance.now() - started) / 1000) * rate);
      while (counts.posted < due) await post(counts.posted++);
      await new Promise((resolve) => setTimeout(resolve, TICK));
    }
  })();
  feeding.catch((error: unknown) => (problem = error));
  return {
    counts: () => ({ ...counts }),
    latencies: () => {
      const found = recent;
      recent = [];
      return { latency: median(found), slowest: Math.max(0, ...found) };
    },
    end: async (patience) => {
      ended = true;
      await feeding;
      const deadline = performance.now() + patience;
      while (waiting.size > 0 && performance.now() < deadline)
        await new Promise((resolve) => setTimeout(resolve, TICK));
      if (problem !== undefined) throw problem as Error;
    },
  };
}
