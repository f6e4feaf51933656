import type { ReceivedReport } from '../../flow/item.js';
import { dropped } from '../../flow/outcome.js';
import type { Settler, Stage } from '../../flow/stage.js';
import type { Report } from '../../message/report.js';
import type { Seen } from '../../store/store.js';

/**
 * Milliseconds for which a record that was sent on is known. Pumps whose lines lead in a circle send a record round in
 * much less; one that was held up longer goes round once more.
 */
const KNOWN = 3_600_000;

/** The key of a record that has been claimed, to be committed when it is on its way. */
export interface Known {
  readonly known?: string;
}

/** Ends the way of a record that has been here before: pumps that send records to each other end by this. */
export function firstTime(seen: Seen): Stage<ReceivedReport, Known> {
  return {
    name: 'first-time',
    isLight: true,
    run: async ({ report }, stop) => {
      const known = keyOf(report);
      return (await seen.claim(known, KNOWN, stop)) === 'ours'
        ? { known }
        : dropped('this record has been here before');
    },
  };
}

/** Makes known what was sent on. */
export const rememberSent = (seen: Seen): Settler<Known> => ({
  name: 'remember-sent',
  settle: ({ known }, outcome) => {
    if (known === undefined) return undefined;
    return outcome.kind === 'done' ? seen.commit(known, KNOWN) : seen.release(known);
  },
});

const keyOf = ({ about, code, text, host, user, elapsed }: Report): string =>
  [
    'record',
    about.topic,
    about.pubTime,
    about.baseUrl,
    about.relPath,
    code,
    host,
    user,
    elapsed,
    text,
    JSON.stringify([...about.headers]),
    'change' in about ? JSON.stringify(about.change) : '',
  ].join('\n');
