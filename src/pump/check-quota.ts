import type { Finding } from './findings.js';

/** What a source keeps where a configuration of sr_sarra places it. */
export interface CheckedQuota {
  /** `sarra/from_alice`. */
  readonly key: string;
  readonly source: string;
  /** Bytes. */
  readonly used: number;
  readonly limit: number;
  /** When all was counted last, in milliseconds since 1970. */
  readonly countedAt: number | undefined;
}

/** Milliseconds: who counts does so every hour. */
const OLD = 3 * 3_600_000;

/** Of the limit. */
const NEARLY = 0.8;

/**
 * Sources that have, or will soon have, all that they may keep; each count is told. A new count is worth it where the
 * last one is old, or where somebody asks.
 */
export const checkQuotas = (
  kept: readonly CheckedQuota[],
  { now, isAsked }: { readonly now: number; readonly isAsked: boolean },
): readonly Finding[] =>
  kept.map((one) => {
    const { key, source, used, limit, countedAt } = one;
    const isOld = countedAt === undefined || now - countedAt > OLD;
    const share = Math.floor((100 * used) / limit);
    const isFull = used >= limit;
    const when = countedAt === undefined ? 'not counted yet' : `counted ${new Date(countedAt).toISOString()}`;
    return {
      class: 'quota',
      code: isFull ? 'full-quota' : used >= limit * NEARLY ? 'growing-quota' : 'kept',
      severity: isFull ? 'error' : used >= limit * NEARLY ? 'warning' : 'note',
      object: `${key} ${source}`,
      text: `${source} keeps ${used} of ${limit} bytes (${share} %) in ${key}, ${when}`,
      remedy: 'remove old files, or raise quota; audit_apply quota has the files counted anew',
      repair: isOld || isAsked ? { action: 'recount', kind: 'quota', name: key } : undefined,
    };
  });
