import { PermanentError } from '../../errors.js';
import { boundedLog } from './bounded-log.js';
import type { Received, ReceivedReport, Taken } from '../../flow/item.js';
import { dropped } from '../../flow/outcome.js';
import type { Stage } from '../../flow/stage.js';
import type { Logger } from '../../logger.js';

/** Who we are on the broker that we read: what is missing in an announcement is filled in from here. */
export interface Identity {
  /** Value for a missing `source`. */
  readonly source: string;
  /** Value for a missing `from_cluster`. */
  readonly cluster: string;
  /** Value for a missing `to_clusters`. */
  readonly to: string;
}

/** `header` options: added where absent, removed where asked. */
export interface HeaderChanges {
  readonly set: ReadonlyMap<string, string>;
  readonly remove: ReadonlySet<string>;
}

/**
 * The door: turns what was decoded into an announcement with complete identity headers, or into its end. A
 * message that could not be decoded is refused here, so that it goes the way of every other item.
 */
export function admit(
  identity: Identity,
  headers: HeaderChanges,
  logger: Logger,
): Stage<Taken, Pick<Received, 'subject'>> {
  const missing = new Map([
    ...headers.set,
    ['source', identity.source],
    ['from_cluster', identity.cluster],
    ['to_clusters', identity.to],
  ]);
  /** Most announcements have all that they need, and go on as they came. */
  const isComplete = (found: ReadonlyMap<string, string>): boolean => {
    for (const name of missing.keys()) if (!found.has(name)) return false;
    for (const name of headers.remove) if (found.has(name)) return false;
    return true;
  };
  const warnings = boundedLog(logger, { level: 'warning', most: 20, what: 'headers left out' });
  return {
    name: 'admit',
    isLight: true,
    stop: warnings.flush,
    run: (item) => {
      const { message } = item;
      if (message.kind === 'rejected') throw new PermanentError(message.code, message.reason);
      if (message.kind === 'report') return dropped('a delivery record, not an announcement');
      for (const warning of message.warnings)
        warnings.say(`${warning}: ${message.announcement.baseUrl} ${message.announcement.relPath}`);
      refuseWorn(item);
      const { announcement } = message;
      if (isComplete(announcement.headers)) return { subject: announcement };
      const complete = new Map(announcement.headers);
      for (const [name, value] of missing) if (!complete.has(name)) complete.set(name, value);
      for (const name of headers.remove) complete.delete(name);
      return { subject: Object.assign({}, announcement, { headers: complete }) };
    },
  };
}

/** Ends a retry that has waited too long, or that the operator does not want any more. */
function refuseWorn({ retry }: Taken): void {
  if (retry?.dropped !== undefined) {
    throw new PermanentError(499, `${retry.dropped}, last: ${retry.reason}`);
  }
  if (retry?.expired === true) {
    const since = new Date(retry.firstFailure).toISOString();
    throw new PermanentError(499, `given up: failing since ${since}, last: ${retry.reason}`);
  }
}

/** The door of sr_log: lets delivery records pass. */
export function admitReport(): Stage<Taken, Pick<ReceivedReport, 'report'>> {
  return {
    name: 'admit',
    isLight: true,
    run: (item) => {
      const { message } = item;
      refuseWorn(item);
      if (message.kind === 'rejected') throw new PermanentError(message.code, message.reason);
      if (message.kind !== 'report') return dropped('an announcement, not a delivery record');
      return { report: message.report };
    },
  };
}
