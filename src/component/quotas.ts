import type { Config } from '../config/config.js';
import { FatalError } from '../errors.js';
import type { Trees } from '../file/count-bytes.js';
import type { QuotaOptions } from '../stage/choose/quota.js';
import { planOf } from '../stage/place/placement.js';
import { placeOptions } from './consuming.js';
import type { Kit } from './component.js';

const SOURCE = '${SOURCE}';

/** What the sources may keep, and where it is; undefined where nobody is limited. */
export function quotaOptions(config: Config, kit: Kit): QuotaOptions | undefined {
  const limits = new Map(config.transfer.quota.map(({ source, bytes }) => [source, bytes]));
  if (limits.size === 0) return undefined;
  return {
    limits,
    usage: kit.store.usage,
    rootOf: kit.rootOf,
    trees: treesOf(config, kit),
    warn: kit.logger.warning,
  };
}

/** The directories of a source, by the placement of the rules; the other names in them may stand for anything. */
function treesOf(config: Config, kit: Kit): (source: string) => readonly Trees[] {
  const { rules, unmatched, selection } = config;
  const options = placeOptions(config, kit);
  const placements = [
    ...rules.filter(({ verdict }) => verdict === 'accept'),
    ...(selection.acceptUnmatch ? [unmatched] : []),
  ];
  const plans = placements.map((placement) => {
    const { root, below } = planOf(placement, options);
    const elements = below.split('/').filter((element) => element !== '');
    if (elements.some((element) => element.includes(SOURCE))) return { root, elements };
    throw new FatalError(
      `quota: directory ${placement.directory ?? ''} does not say whose the files are. Write ${SOURCE} in it`,
      { exitCode: 2 },
    );
  });
  return (source) =>
    plans.map(({ root, elements }) => ({
      root,
      elements: elements.map((element) => elementFor(element, source)),
    }));
}

const plain = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/gu, String.raw`\$&`);

function elementFor(element: string, source: string): string | RegExp {
  const known = element.replaceAll(SOURCE, () => source);
  if (!known.includes('${')) return known;
  return new RegExp(
    `^${known
      .split(/\$\{[^}]*\}/u)
      .map(plain)
      .join('.+')}$`,
    'u',
  );
}
