import { basename } from 'node:path';
import type { Config, Written } from '../config/config.js';
import { camelCase } from '../config/option.js';
import { type OptionName, findOption, optionRows } from '../config/options/index.js';
import { isWritten } from '../config/rules.js';
import { placeOf } from '../config/syntax.js';
import { FatalError } from '../errors.js';

/* Options that would be without effect and unnoticed are errors: each of these throws FatalError naming the line. */

/** Where an option was written; undefined when its value is a default or a preset. */
export function writtenAt(config: Config, option: OptionName): Written | undefined {
  const written = config.origins.get(option);
  return written !== undefined && isWritten(written.origin) ? written : undefined;
}

const refusal = (option: OptionName, { origin, text }: Written, why: string): FatalError =>
  new FatalError(`${placeOf(origin)}: ${option} ${text}: ${why}`, { exitCode: 2 });

/** The value of an option, whatever its group. */
function valueOf(config: Config, option: OptionName): unknown {
  const found = findOption(option);
  if (found === undefined) return undefined;
  const values: Readonly<Record<string, unknown>> = { ...config[found.group] };
  return values[camelCase(option)];
}

const isOff = (value: unknown): boolean =>
  value === undefined || value === false || value === 0 || (Array.isArray(value) && value.length === 0);

/** Refuses what a configuration switches on and the program cannot do. */
export function refuseOptions(config: Config, refused: Readonly<Partial<Record<OptionName, string>>>): void {
  for (const [option, why] of Object.entries(refused) as [OptionName, string][]) {
    const written = writtenAt(config, option);
    if (written === undefined || isOff(valueOf(config, option))) continue;
    throw refusal(option, written, `${why}. Remove the line`);
  }
}

/** Written in a file that speaks to all programs, and so for those that can do something with it. */
const isGeneral = ({ origin }: Written): boolean =>
  ['default.conf', 'admin.conf'].includes(basename(origin.file));

/** What is to be said of options that change nothing yet. */
export const withoutEffect = (
  config: Config,
  reasons: Readonly<Partial<Record<OptionName, string>>>,
): readonly string[] =>
  (Object.entries(reasons) as [OptionName, string][]).flatMap(([option, why]) => {
    const written = writtenAt(config, option);
    return written === undefined || isGeneral(written)
      ? []
      : [`${placeOf(written.origin)}: ${option}: no effect: ${why}`];
  });

/** Refuses hooks that the program never calls: whoever wrote one relies on it. */
export function refuseUncalledHooks(config: Config): void {
  for (const { name, group, row } of optionRows) {
    if (group !== 'plugins' || row.components.includes(config.component)) continue;
    const written = writtenAt(config, name);
    if (written === undefined || isOff(valueOf(config, name))) continue;
    if (isGeneral(written)) continue;
    throw refusal(name, written, `${config.program} never calls this hook. Remove the line`);
  }
}

/** Refuses to post under the topics of a format that is only read. */
export function refuseLaterFormat(config: Config): void {
  if (!/^v03(\.|$)/.test(config.posting.postTopicPrefix ?? '')) return;
  for (const option of ['post_topic_prefix', 'topic_prefix'] as const) {
    const written = writtenAt(config, option);
    if (written === undefined) continue;
    throw refusal(option, written, 'messages of format v03 are read, not written. Post as v02.post');
  }
}

/** Refuses an option that is written and switches something on. */
export function refuseWritten(config: Config, option: OptionName, why: string): void {
  const written = writtenAt(config, option);
  if (written !== undefined && !isOff(valueOf(config, option)))
    throw refusal(option, written, `${why}. Remove the line`);
}

/** Refuses to remove files at their origin where none is fetched. */
export function refuseIdleDelete(config: Config): void {
  const written = writtenAt(config, 'delete');
  if (written === undefined || !config.transfer.delete || !config.selection.notifyOnly) return;
  throw refusal('delete', written, 'nothing is fetched with notify_only. Remove one of the two lines');
}

/** Refuses checksums that nobody here can compute. */
export function refuseUnknownSum(config: Config): void {
  const written = writtenAt(config, 'sum');
  if (written === undefined || /^(?:[dsn0a]|z,[ds])$/.test(config.posting.sum)) return;
  throw refusal('sum', written, 'no such checksum here. Write d, s, n, 0, a, or z,d or z,s');
}

/** Refuses to follow files where the configuration does not say all that it takes, or asks for more. */
export function refuseFollowing(config: Config, quiet: number): void {
  const { sleep, sum } = config.posting;
  const given = { sleep: writtenAt(config, 'sleep'), quiet: writtenAt(config, 'quiet') };
  if (sleep === 0) {
    if (given.quiet === undefined || config.posting.quiet === 0) return;
    const why = 'counts where files are followed. Say with sleep how often they are looked at';
    throw refusal('quiet', given.quiet, why);
  }
  if (given.sleep === undefined) return;
  if (quiet === 0) {
    const watch = 'watching a tree is the work of sr_watch, which is not available yet';
    const why = `${watch}. To follow files that grow, say with quiet when they are complete`;
    throw refusal('sleep', given.sleep, why);
  }
  if (/^[ds]$/.test(sum)) return;
  throw refusal(
    'sleep',
    given.sleep,
    `what has changed is told by checksums of the content: sum d or s, not ${sum}`,
  );
}
