import { ExchangeUnusable } from '../../broker/broker.js';
import type { Publisher } from '../../broker/broker.js';
import { PermanentError, messageOf } from '../../errors.js';
import type { Received, Taken } from '../../flow/item.js';
import type { Outcome } from '../../flow/outcome.js';
import type { Settler } from '../../flow/stage.js';
import type { Logger } from '../../logger.js';
import type { Report } from '../../message/report.js';
import { encodeReport } from '../../message/v02.js';
import { savedCode } from '../pass/save.js';
import { aboutOf } from './about.js';

export interface ReportRoute {
  readonly exchange: string;
  /** Second word of the topic. */
  readonly dialect: 'log' | 'report';
}

export interface ReportOptions {
  /** Where records go on this broker, known once it has been reached. */
  readonly route: (stop: AbortSignal) => Promise<ReportRoute>;
  readonly host: string;
  readonly user: string;
  readonly now: () => number;
  /** The last word of those who may keep a record back; absent, every one is sent. */
  readonly isWanted?: ((record: Report, stop: AbortSignal) => Promise<boolean>) | undefined;
}

/** Milliseconds without records after the pump has refused one. */
const SILENCE = 60_000;

/**
 * Sends the delivery record of an item that has ended, and waits until the broker has it. One record per message:
 * failures that will be tried again send none. Where the pump takes no records, a warning says so and the data flows
 * on; every minute one record asks again, and how many were lost is said when the pump takes them again.
 */
export function report(
  publisher: Publisher,
  options: ReportOptions,
  logger: Logger,
): Settler<Taken & Partial<Pick<Received, 'subject'>>> {
  let silentUntil = 0;
  let unsent = 0;
  return {
    name: 'report',
    settle: async (item, outcome, stop) => {
      const about = aboutOf(item);
      const end = endOf(outcome);
      if (end === undefined || about === undefined) return;
      if (options.now() < silentUntil) {
        unsent += 1;
        return;
      }
      const record: Report = {
        about,
        ...end,
        host: options.host,
        user: options.user,
        elapsed: Math.max(0, options.now() - item.takenAt) / 1000,
      };
      if (options.isWanted !== undefined && !(await options.isWanted(record, stop))) return;
      const { exchange, dialect } = await options.route(stop);
      const encoded = encodeReport(record, dialect);
      if (encoded.kind === 'rejected') {
        logger.error(`no delivery record can be written for ${about.relPath}: ${encoded.reason}`);
        return;
      }
      try {
        await publisher.publish({ exchange, mandatory: false, ...encoded.message }, stop);
      } catch (thrown) {
        if (thrown instanceof PermanentError) {
          logger.error(`no delivery record can be sent for ${about.relPath}: ${messageOf(thrown)}`);
          return;
        }
        if (!(thrown instanceof ExchangeUnusable)) throw thrown;
        unsent += 1;
        // Others were under way at the same time.
        if (options.now() < silentUntil) return;
        silentUntil = options.now() + SILENCE;
        logger.warning(`delivery records cannot be sent, going on without: ${messageOf(thrown)}`);
        return;
      }
      if (unsent === 0) return;
      logger.warning(`delivery records can be sent again; ${unsent} were not sent`);
      unsent = 0;
    },
  };
}

function endOf(outcome: Outcome): { code: number; text: string } | undefined {
  switch (outcome.kind) {
    case 'done':
      if (outcome.code === savedCode) return undefined;
      return { code: outcome.code, text: outcome.text };
    case 'refused':
      return { code: outcome.error.code, text: outcome.error.message };
    case 'dropped':
    case 'failed':
    case 'handed back':
      return undefined;
  }
}
