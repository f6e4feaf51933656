import { inflightNaming, inflightPath, type InflightNaming } from '../../file/inflight-name.js';
import type { Placed } from '../../flow/item.js';
import { relativeTo } from '../place/target.js';

/** The private name that the `inflight` option asks for; without one it is hidden, but there all the same. */
export const namingOf = (inflight: string | undefined): InflightNaming =>
  (inflight === undefined ? undefined : inflightNaming(inflight)) ?? { kind: 'none' };

/** What would be left of an item if we died now: its root, a line feed, and the private name of its data below it. */
export const leftoverOf = ({ subject, target }: Placed, inflight: string | undefined): string | undefined =>
  subject.change.kind === 'write'
    ? `${target.root}\n${inflightPath(relativeTo(target), namingOf(inflight))}`
    : undefined;
