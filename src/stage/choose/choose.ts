import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Rule } from '../../config/rules.js';
import { RetryableError, systemCode } from '../../errors.js';
import type { ReceivedReport } from '../../flow/item.js';
import { type Settled, dropped } from '../../flow/outcome.js';
import type { Described } from '../../flow/posted.js';
import { type Stage, pass } from '../../flow/stage.js';
import { matchUrl } from '../../message/retrieval-url.js';
import { selectRule } from './select.js';

export interface ChooseOptions {
  readonly rules: readonly Rule[];
  readonly acceptUnmatch: boolean;
}

/** The answer of the rules where only yes or no counts, not the placement. */
function answer(text: string, { rules, acceptUnmatch }: ChooseOptions): object | Settled {
  const selection = selectRule(text, rules, acceptUnmatch);
  return selection.verdict === 'accept' ? pass : dropped(selection.by);
}

/** The rules of a program that posts, before any byte is read: on the URL, or on the path free of links. */
export function choose(options: ChooseOptions & { readonly realPath: boolean }): Stage<Described> {
  return {
    name: 'choose',
    run: (item) => {
      const { baseUrl, relPath } = item.draft;
      const text = options.realPath ? realPathOf(item.path) : `${baseUrl.replace(/\/$/, '')}${relPath}`;
      return answer(text, options);
    },
  };
}

/** The path without links, as far as it is there: what was removed, or a link that leads nowhere, has one too. */
function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch (cause) {
    const code = systemCode(cause);
    if ((code !== 'ENOENT' && code !== 'ENOTDIR') || path === '/')
      throw new RetryableError(`cannot resolve ${path}`, { cause });
    return join(realPathOf(dirname(path)), basename(path));
  }
}

/** The rules of sr_log, on the URL that a delivery record is about. */
export function chooseReport(options: ChooseOptions): Stage<ReceivedReport> {
  return {
    name: 'choose',
    isLight: true,
    run: (item) => {
      const { baseUrl, relPath, headers } = item.report.about;
      return answer(matchUrl(baseUrl, relPath, headers.get('sundew_extension')), options);
    },
  };
}
