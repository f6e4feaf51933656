import { rowsOf } from '../../src/config/options/index.js';
import type { Name } from './lab.js';
import { passingCases } from './passing-cases.js';
import { postCases } from './post-cases.js';
import { reportCases } from './report-cases.js';
import { sarraCases } from './sarra-cases.js';
import { collectCases, toClustersCases, toSourceCases } from './router-cases.js';
import { senderCases } from './sender-cases.js';
import { sftpCases } from './sftp-cases.js';
import { type Case, shared } from './shared-cases.js';
import { subscribeCases } from './subscribe-cases.js';

const own: Readonly<Record<Name, Readonly<Record<string, Case>>>> = {
  subscribe: { ...sftpCases, ...subscribeCases },
  sarra: { ...sftpCases, ...sarraCases },
  sender: { ...sftpCases, ...senderCases },
  post: postCases,
  winnow: passingCases,
  shovel: passingCases,
  report: reportCases,
  '2xlog': collectCases,
  log2source: toSourceCases,
  log2clusters: toClustersCases,
};

/** The cases of a program: its own, and of the shared ones those whose option it has. */
export function casesOf(name: Name): Readonly<Record<string, Case>> {
  const rows = new Set<string>(rowsOf(name).map((row) => row.name));
  // Refused while the configuration is read.
  if (name === 'winnow' || name === 'sarra') rows.delete('save');
  return {
    ...Object.fromEntries(Object.entries(shared).filter(([option]) => rows.has(option))),
    ...own[name],
  };
}
