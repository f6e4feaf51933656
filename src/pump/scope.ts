import type { Finding, FindingClass } from './findings.js';

/** What an audit may mend; everything else is only reported. */
export interface Scope {
  /** Classes of which everything is mended, by removal too. */
  readonly classes: ReadonlySet<FindingClass>;
  /** What declared users lack is made: themselves, permissions, exchanges, passwords; nothing is removed. */
  readonly users: boolean;
  /** Permissions that differ are written again. */
  readonly reset: boolean;
}

export const nothingAllowed: Scope = { classes: new Set(), users: false, reset: false };

/** Whether the audit does something about a finding. */
export function isInScope({ class: kind, repair }: Finding, { classes, users, reset }: Scope): boolean {
  if (repair === undefined) return false;
  if (classes.has(kind)) return true;
  if (!users || repair.action === 'delete') return false;
  return repair.action === 'create' || repair.kind === 'password' || (reset && kind === 'permissions');
}
