import { PermanentError } from '../../errors.js';
import type { ReceivedReport } from '../../flow/item.js';
import { type Stage, pass } from '../../flow/stage.js';

/** How a pump knows who has written into an exchange; undefined when it is nobody's. */
export type OwnerOf = (exchange: string) => string | undefined;

/**
 * Lets the records pass that users make about their own deliveries. Anybody may write anything into the own exchange,
 * so a record there is worth something only as far as it names its owner as the consumer; and it has to say whose the
 * data is and from which pump, or it could go nowhere.
 */
export function attest(ownerOf: OwnerOf): Stage<ReceivedReport> {
  return {
    name: 'attest',
    isLight: true,
    run: ({ exchange, report }) => {
      const owner = ownerOf(exchange);
      if (owner === undefined) throw new PermanentError(403, 'the exchange belongs to no declared user');
      if (report.user !== owner) throw new PermanentError(403, 'names another user as the consumer');
      for (const name of ['source', 'from_cluster'] as const)
        if ((report.about.headers.get(name) ?? '') === '')
          throw new PermanentError(403, `has no header ${name}`);
      return pass;
    },
  };
}
