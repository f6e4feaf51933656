import { contentAlgorithm, nameSum, randomSum, type ContentAlgorithm } from '../../checksum/algorithms.js';
import { PermanentError } from '../../errors.js';
import type { Sum } from '../../message/sum.js';

/** How a poster comes to a sum: from the bytes, or without reading any. */
export type SumSource =
  | { readonly kind: 'content'; readonly algorithm: ContentAlgorithm }
  | { readonly kind: 'given'; readonly give: () => Sum };

/** What the `sum` option (a letter, `z,X`, or `a,VALUE`) says about a file. */
export function sumSource(wanted: string, path: string): SumSource {
  const [algorithm = 'd', value = ''] = wanted.split(/,(.*)/s);
  if (algorithm === '0') return { kind: 'given', give: randomSum };
  if (algorithm === 'n') return { kind: 'given', give: () => nameSum(path) };
  if (algorithm === 'z' || algorithm === 'a')
    return { kind: 'given', give: () => ({ algorithm, value: value === '' ? '0' : value }) };
  const content = contentAlgorithm({ algorithm, value });
  if (content === undefined)
    throw new PermanentError(417, `${path}: no way to compute a sum of kind ${algorithm}`);
  return { kind: 'content', algorithm: content };
}
