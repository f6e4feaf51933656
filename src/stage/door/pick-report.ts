import type { ReceivedReport } from '../../flow/item.js';
import { dropped } from '../../flow/outcome.js';
import { type Stage, pass } from '../../flow/stage.js';

/** What records are looked for; an empty list asks for nothing in particular. */
export interface ReportFilter {
  /** `304`, or a class: `4xx`. */
  readonly codes: readonly string[];
  readonly users: readonly string[];
  /** Fully qualified or short names of hosts. */
  readonly hosts: readonly string[];
}

const isCode = (code: number, wanted: string): boolean =>
  wanted.endsWith('xx') ? String(code).startsWith(wanted.slice(0, 1)) : String(code) === wanted;

const isHost = (host: string, wanted: string): boolean => host === wanted || host.startsWith(`${wanted}.`);

/** Lets records pass by how it ended, who did it, and where. */
export function pickReport({ codes, users, hosts }: ReportFilter): Stage<ReceivedReport> {
  const isWanted = ({ report }: ReceivedReport): boolean =>
    (codes.length === 0 || codes.some((wanted) => isCode(report.code, wanted))) &&
    (users.length === 0 || users.includes(report.user)) &&
    (hosts.length === 0 || hosts.some((wanted) => isHost(report.host, wanted)));
  return {
    name: 'pick-report',
    run: (item) => (isWanted(item) ? pass : dropped('not the code, user or host asked for')),
  };
}
