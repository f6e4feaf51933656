import type { Received } from '../../flow/item.js';
import { dropped } from '../../flow/outcome.js';
import { type Stage, pass } from '../../flow/stage.js';
import type { Change } from '../../message/announcement.js';

/** The words of the `events` option. */
export type Event = 'create' | 'delete' | 'link' | 'modify';

const eventsOf: Readonly<Record<Change['kind'], readonly Event[]>> = {
  write: ['create', 'modify'],
  remove: ['delete'],
  link: ['link'],
  'make-directory': ['create'],
};

/** Drops the kinds of change that the configuration does not want. */
export function events(wanted: readonly string[]): Stage<Received> {
  return {
    name: 'events',
    isLight: true,
    run: (item) => {
      const { kind } = item.subject.change;
      if (eventsOf[kind].some((event) => wanted.includes(event))) return pass;
      return dropped(`events: ${kind} is not wanted`);
    },
  };
}
