import type { Config } from '../config/config.js';
import { whyElsewhere } from '../process/audit/vip.js';
import { type Audited, auditPump, type AuditResult } from '../process/audit/pump-audit.js';
import { readOrder } from '../process/places/order.js';
import { untilSignal } from '../process/daemon/signals.js';
import { refuseUnavailable, requireComponent } from '../process/work/run.js';
import { sayWarnings } from '../process/work/surroundings.js';
import { FatalError } from '../errors.js';
import { differenceOf, findingAsJson, isFault } from '../pump/findings.js';
import { type Call, orderOf, type Run } from './action.js';
import { logTo } from './log-to.js';

/** One look at the pump, told on standard output: 0 when all is well, 1 when not, 2 when that cannot be said. */
export const audit: Run = async (call) => {
  const { configuration, rest } = call.given;
  if (rest.length > 0) throw new FatalError(`${call.program}: name one configuration`, { exitCode: 2 });
  const read = (): Config => readOrder(orderOf(call, configuration), call.host);
  const config = read();
  refuseUnavailable(config, requireComponent(config));
  const logger = await logTo(call.terminal, config, 'warning');
  sayWarnings(config, logger);
  const elsewhere = whyElsewhere(config.running.vip);
  if (elsewhere !== undefined) {
    await call.terminal.write(elsewhere);
    return 0;
  }
  const signals = untilSignal();
  try {
    const { dryRun } = config.running;
    const options = { dryRun, isAsked: true, now: Date.now, read };
    const result = await auditPump(config, call.host, options, signals.stop);
    return await tellAudit(call, result, dryRun);
  } finally {
    signals.cancel();
  }
};

/** Prints what was found, and says how it is to be taken. */
export async function tellAudit(
  { terminal, json }: Pick<Call, 'terminal' | 'json'>,
  { audited, gaps, told }: AuditResult,
  dryRun: boolean,
): Promise<number> {
  const faults = audited.filter(({ finding, state }) => isFault(finding) && state !== 'mended');
  const code = gaps.length > 0 ? 2 : faults.length > 0 ? 1 : 0;
  if (json) {
    const findings = audited.map(({ finding, state, problem }) => ({
      ...findingAsJson(finding, state),
      problem: problem ?? null,
    }));
    await terminal.write(JSON.stringify({ complete: gaps.length === 0, gaps, findings, reloaded: told }));
    return code;
  }
  for (const one of audited) for (const line of linesOf(one, dryRun)) await terminal.write(line);
  for (const { key, problem } of told)
    await terminal.write(
      problem === undefined
        ? `reloaded: ${key}`
        : `${key} was not reloaded: ${problem}; then: sr reload ${key}`,
    );
  for (const gap of gaps) await terminal.write(`the broker did not tell all: ${gap}`);
  await terminal.write(ending(audited, faults.length, gaps.length > 0));
  return code;
}

function linesOf({ finding, state, problem }: Audited, dryRun: boolean): readonly string[] {
  const { severity, code, class: kind, text, remedy, repair } = finding;
  const what = `${severity} ${kind} ${code}: ${text}`;
  const difference = repair === undefined ? [] : differenceOf(repair).map((line) => `  ${line}`);
  switch (state) {
    case 'found':
      return [
        `${what}; remedy: ${remedy}`,
        ...(dryRun ? difference.map((line) => `${line} (not selected)`) : []),
      ];
    case 'would be mended':
      return [what, ...difference];
    case 'mended':
      return [`mended ${what}`, ...difference];
    case 'not mended':
      return [`${what}; it could not be mended: ${problem ?? ''}`];
  }
}

function ending(audited: readonly Audited[], faults: number, isPartial: boolean): string {
  const count = (state: Audited['state']): number => audited.filter((one) => one.state === state).length;
  const parts = [
    faults === 0 ? 'all is as declared' : `${faults} ${faults === 1 ? 'fault' : 'faults'}`,
    ...(count('mended') > 0 ? [`${count('mended')} mended`] : []),
    ...(count('would be mended') > 0 ? [`${count('would be mended')} would be mended`] : []),
    ...(isPartial ? ['not everything could be looked at, so nothing was changed on the broker'] : []),
  ];
  return parts.join(', ');
}
