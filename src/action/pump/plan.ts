import { replaceTextFile } from '../../config/text-file.js';
import { FatalError, messageOf } from '../../errors.js';
import type { Management } from '../../broker/management.js';
import { inOrder, mend } from '../../pump/apply.js';
import { differenceOf, type BrokerRepair } from '../../pump/findings.js';
import type { Picture } from '../../pump/picture.js';
import { lineDifference } from '../../pump/text-lines.js';
import type { PumpCall } from './pump-action.js';

/** A file as it is, and as it shall be. */
export interface Edit {
  readonly file: string;
  readonly before: string | undefined;
  readonly after: string;
  readonly mode: number;
}

/** Everything that a command changes: files first, so that no password is only on the broker. */
export interface Plan {
  readonly edits: readonly Edit[];
  readonly repairs: readonly BrokerRepair[];
  /** Files after the broker: what is removed there must not be forgotten before. */
  readonly lastEdits?: readonly Edit[];
}

const isChange = ({ before, after }: Edit): boolean => (before ?? '') !== after;

export const differenceOfPlan = ({ edits, repairs, lastEdits = [] }: Plan): readonly string[] => [
  ...edits.filter(isChange).flatMap(({ file, before, after }) => lineDifference(file, before, after)),
  ...inOrder(repairs).flatMap(differenceOf),
  ...lastEdits.filter(isChange).flatMap(({ file, before, after }) => lineDifference(file, before, after)),
];

/**
 * Does what is planned, or shows it. Each step may be repeated, so a command that was ended in the middle is given
 * again. Answers what is different. Throws FatalError (1) at the first step that cannot be done.
 */
export async function carryOut(
  plan: Plan,
  picture: Picture,
  management: Management,
  { dryRun }: Pick<PumpCall, 'dryRun'>,
  stop: AbortSignal,
): Promise<readonly string[]> {
  const difference = differenceOfPlan(plan);
  if (dryRun) return difference;
  write(plan.edits);
  const known = new Set(picture.users.map(({ name }) => name));
  for (const repair of inOrder(plan.repairs)) {
    try {
      await mend(repair, picture, known, management, stop);
      if (repair.kind === 'user' && repair.action === 'create') known.add(repair.name);
    } catch (thrown) {
      throw new FatalError(
        `${repair.action} ${repair.kind} ${repair.name}: ${messageOf(thrown)}; mend that, and give the command again`,
        { cause: thrown },
      );
    }
  }
  write(plan.lastEdits ?? []);
  return difference;
}

/** Replaces the files that change. Throws FatalError (1) where somebody else has changed one since. */
export function write(edits: readonly Edit[]): void {
  for (const { file, before, after, mode } of edits.filter(isChange))
    replaceTextFile(file, after, before, mode);
}

/** Says what was done, or would be. */
export async function tellPlan(
  call: PumpCall,
  difference: readonly string[],
  { done, notes = [] }: { readonly done: string; readonly notes?: readonly string[] },
): Promise<number> {
  const { terminal, json, dryRun } = call;
  if (json) {
    await terminal.write(
      JSON.stringify({ changed: !dryRun && difference.length > 0, difference, notes: [...notes] }),
    );
    return 0;
  }
  for (const line of difference) await terminal.write(line);
  if (dryRun)
    await terminal.write(
      difference.length === 0 ? 'nothing would be changed' : 'nothing was changed: --dry_run',
    );
  else await terminal.write(difference.length === 0 ? `${done}: nothing to do` : done);
  for (const note of notes) await terminal.write(note);
  return 0;
}
