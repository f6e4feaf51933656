import type { PlacementState, Rule } from '../../config/rules.js';
import type { Received, Selected } from '../../flow/item.js';
import { dropped } from '../../flow/outcome.js';
import type { Stage } from '../../flow/stage.js';
import { type Envelope, matchTextOf } from '../../message/announcement.js';

export interface SelectOptions {
  readonly rules: readonly Rule[];
  readonly acceptUnmatch: boolean;
  /** The settings at the end of the configuration: for what no rule matches. */
  readonly unmatched: PlacementState;
  /** What the patterns look at: base URL and path, or the path alone. */
  readonly matching: 'url' | 'path';
  /** Characters of what the patterns look at, at most, whatever the single pattern allows. */
  readonly longestText: number;
}

/** The answer of the rules. */
export type Selection =
  | {
      readonly verdict: 'accept';
      /** Undefined when no rule matched. */
      readonly rule: Rule | undefined;
      /** The groups of the pattern; the whole text when it has none, or when no rule matched. */
      readonly captures: readonly string[];
    }
  | { readonly verdict: 'reject'; readonly by: string };

/**
 * Finds the first rule that matches; what none matches is accepted when `acceptUnmatch` says so. A text too long for
 * one of the patterns is rejected: it might have been meant to.
 */
export function selectRule(text: string, rules: readonly Rule[], acceptUnmatch: boolean): Selection {
  for (const rule of rules) {
    if (text.length > rule.pattern.longest) return { verdict: 'reject', by: `too long for ${lineOf(rule)}` };
    const found = rule.pattern.match(text);
    if (found === undefined) continue;
    if (rule.verdict === 'reject') return { verdict: 'reject', by: lineOf(rule) };
    const captures = found.groups.length === 0 ? [text] : found.groups.map((group) => group ?? '');
    return { verdict: 'accept', rule, captures };
  }
  if (acceptUnmatch) return { verdict: 'accept', rule: undefined, captures: [text] };
  return { verdict: 'reject', by: 'no rule accepts it' };
}

const lineOf = ({ verdict, pattern, origin }: Rule): string =>
  `${verdict} ${pattern.source} (${origin.file}:${origin.line})`;

/** The answer of the rules about an announcement, on its text exactly as it was transmitted. */
export function selectAnnouncement(announced: Envelope, options: SelectOptions): Selection {
  const text = options.matching === 'path' ? announced.relPath : matchTextOf(announced);
  if (text.length > options.longestText) {
    return { verdict: 'reject', by: `its URL is longer than ${options.longestText} characters` };
  }
  return selectRule(text, options.rules, options.acceptUnmatch);
}

/** Accepts or drops an announcement, and says which settings place it. */
export function select(
  options: SelectOptions,
): Stage<Received, Pick<Selected, 'placement' | 'rule' | 'captures'>> {
  return {
    name: 'select',
    isLight: true,
    run: ({ subject }) => {
      const selection = selectAnnouncement(subject, options);
      if (selection.verdict === 'reject') return dropped(selection.by);
      const { rule, captures } = selection;
      return { placement: rule ?? options.unmatched, rule, captures };
    },
  };
}
