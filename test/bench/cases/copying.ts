/** Passing announcements on without their files, beside a loop that consumes, publishes and acknowledges. */
import { rm } from 'node:fs/promises';
import { configuration } from '../arena.js';
import type { Arena } from '../arena.js';
import type { Case, Contender } from '../compete.js';
import type { CaseName } from '../goals.js';
import type { Template } from '../messages.js';
import type { Entry } from '../trees.js';

const sink = 'q_bob.copies';
const exchange = 'xs_bob';

const pretended = (count: number): Entry[] =>
  Array.from({ length: count }, (_, number) => ({
    path: `d${String(Math.floor(number / 100)).padStart(4, '0')}/f${String(number).padStart(7, '0')}`,
    size: 1024,
    sum: String(number).padStart(32, '0'),
  }));

/** Fills a queue, lets it be copied, and counts the copies. */
async function counted(
  { admin }: Arena,
  { queue, template, entries }: { queue: string; template: Template; entries: readonly Entry[] },
  run: () => ReturnType<Contender['run']>,
) {
  await admin.queue(sink, exchange, 'v02.post.#');
  await admin.fill('xpublic', template, entries);
  const cost = await run();
  const [copies, left] = [await admin.depth(sink), await admin.depth(queue)];
  if (copies !== entries.length || left !== 0)
    throw new Error(`${copies} of ${entries.length} messages were copied, ${left} are left`);
  await admin.drop(sink);
  await admin.drop(queue);
  return cost;
}

/** One of our programs that passes every message on, with what its configuration says besides. */
interface Passing {
  readonly name: CaseName;
  readonly about: string;
  readonly component: 'subscribe' | 'winnow' | 'shovel';
  readonly options: readonly string[];
}

const copying = ({ name, about, component, options }: Passing): Case => ({
  name,
  about,
  runs: 2,
  open: async (arena) => {
    const { pump, admin } = arena;
    const entries = pretended(arena.sized(50_000));
    const template = await arena.template('d', arena.web.url);
    const queue = 'q_bob.bench';
    const program = `sr_${component}`;
    const ours: Contender = {
      name: program,
      run: async () => {
        const lines = [
          `broker ${pump.bob.brokerUrl}`,
          `queue_name ${queue}`,
          'exchange xpublic',
          'report_back off',
          `post_broker ${pump.bob.brokerUrl}`,
          `post_exchange ${exchange}`,
          ...options,
          'accept .*',
        ];
        const home = await arena.home(pump.bob, lines, component);
        await arena.measure(arena.program(home, program, ['setup', configuration]));
        const words = ['--once', 'foreground', configuration];
        const run = () => arena.measure(arena.program(home, program, words));
        const cost = await counted(arena, { queue, template, entries }, run);
        await rm(home, { recursive: true });
        return cost;
      },
    };
    const url = await arena.login(pump.bob);
    const loop: Contender = {
      name: 'bare loop',
      run: async () => {
        await admin.queue(queue, 'xpublic', 'v02.post.#');
        const order = { kind: 'copy', url, queue, exchange, count: entries.length } as const;
        return counted(arena, { queue, template, entries }, async () =>
          arena.measure(await arena.loop(order)),
        );
      },
    };
    return {
      units: entries.length,
      unit: 'messages',
      contenders: [ours, loop],
      close: () => Promise.resolve(),
    };
  },
});

export const notify = copying({
  name: 'notify',
  about: 'copying messages to another exchange (notify_only), beside a loop that does nothing else',
  component: 'subscribe',
  options: ['notify_only on'],
});

export const shovel = copying({
  name: 'shovel',
  about: 'copying messages to another exchange (sr_shovel), beside a loop that does nothing else',
  component: 'shovel',
  options: [],
});

export const winnow = copying({
  name: 'winnow',
  about: 'copying messages that are all new, each looked up and remembered, beside a loop that does neither',
  component: 'winnow',
  options: [],
});
