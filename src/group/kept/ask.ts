import { RetryableError } from '../../errors.js';
import type { Link } from '../../store/owner/link.js';

/** One question over a connection that stays open. Throws RetryableError when the answer does not come in time. */
export async function askOver(link: Link, kind: string, body: unknown, limit: number): Promise<unknown> {
  const late = new AbortController();
  const timer = setTimeout(
    () => late.abort(new RetryableError(`no answer to "${kind}" within ${limit} ms`)),
    limit,
  );
  try {
    return await link.request('ask', [kind, body], { signal: late.signal });
  } finally {
    clearTimeout(timer);
  }
}
