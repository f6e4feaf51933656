import { networkInterfaces } from 'node:os';

const addressesHere = (): readonly string[] =>
  Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));

/** Why work that is bound to one of the addresses of `vip` is another host's now; undefined when it is ours. */
export const whyElsewhere = (
  vip: readonly string[],
  held: readonly string[] = addressesHere(),
): string | undefined =>
  vip.length === 0 || vip.some((address) => held.includes(address))
    ? undefined
    : `this host holds none of the addresses ${vip.join(', ')} (vip): another one does the work`;
