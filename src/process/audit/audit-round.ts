import type { Config } from '../../config/config.js';
import { messageOf } from '../../errors.js';
import type { Logger } from '../../logger.js';
import type { Applied } from '../../pump/apply.js';
import type { Host } from '../places/host.js';
import { type Audited, auditPump } from './pump-audit.js';
import { whyElsewhere } from './vip.js';

/**
 * One look of a daemon: one line in the log for each finding, and one for each change. What is declared is read anew
 * for each look: a user who was added since must not be taken for a stranger. A look that fails is told; the next one
 * comes with the next heartbeat.
 */
export async function auditRound(
  read: () => Config,
  host: Host,
  logger: Logger,
  stop: AbortSignal,
): Promise<void> {
  const done = ({ finding, repair, problem }: Applied): void => {
    const fields = { class: finding.class, action: repair.action, kind: repair.kind, object: repair.name };
    if (problem === undefined) logger.info('audit: mended', fields);
    else logger.error(`audit: could not be mended: ${problem}`, fields);
  };
  try {
    const config = read();
    const elsewhere = whyElsewhere(config.running.vip);
    if (elsewhere !== undefined) {
      logger.info(elsewhere);
      return;
    }
    const options = { dryRun: config.running.dryRun, isAsked: false, done, now: Date.now, read };
    const { audited, gaps, told } = await auditPump(config, host, options, stop);
    for (const one of audited) if (one.state !== 'mended') tell(one, logger);
    for (const { key, problem } of told) {
      if (problem === undefined) logger.info(`audit: ${key} was reloaded: it knows the new users`);
      else logger.error(`audit: ${key} was not reloaded: ${problem}; remedy: sr reload ${key}`);
    }
    for (const gap of gaps)
      logger.error(`audit: the broker did not tell all, so nothing is changed there: ${gap}`);
    logger.info(`audit: ${audited.length} findings`);
  } catch (thrown) {
    if (stop.aborted) return;
    logger.error(`audit: ${messageOf(thrown)}`);
  }
}

function tell({ finding }: Audited, logger: Logger): void {
  const { class: kind, code, object, text, remedy, severity } = finding;
  const log = severity === 'note' ? logger.info : severity === 'warning' ? logger.warning : logger.error;
  log(`audit: ${text}; remedy: ${remedy}`, { class: kind, code, object });
}
