import { RetryableError } from '../../errors.js';
import type { Root } from '../../file/inside.js';
import { statInside } from '../../file/look.js';
import type { Compared, Fetched, Target } from '../../flow/item.js';
import type { Stage } from '../../flow/stage.js';
import { fetchPath } from '../../message/retrieval-url.js';
import { blockLength } from '../../message/parts.js';
import type { Transports } from '../../transport/transport.js';
import { relativeTo } from '../place/target.js';

type Fetching = Stage<Compared, Pick<Fetched, 'inflight' | 'bytes' | 'sum' | 'result'>>;

/**
 * For those who remove files at their origin: one that they are told of again may be gone because of that. When it is
 * gone there and here, in its length, nothing is missing; where its checksum can tell, nobody even asks for it.
 */
export function takenAway(
  fetching: Fetching,
  { transports, rootOf }: { readonly transports: Transports; readonly rootOf: (target: Target) => Root },
): Fetching {
  const isDone = async ({ subject, repeated, target }: Compared, stop: AbortSignal): Promise<boolean> => {
    const { change, baseUrl, relPath } = subject;
    if (!repeated || change.kind !== 'write' || change.parts === undefined) return false;
    const there = statInside(rootOf(target), relativeTo(target));
    if (there?.isFile() !== true || there.size !== blockLength(change.parts)) return false;
    const session = await transports.session(baseUrl, stop);
    try {
      return (
        session.look !== undefined && (await session.look(fetchPath(baseUrl, relPath), stop)) === undefined
      );
    } finally {
      await session.close();
    }
  };
  return {
    ...fetching,
    run: async (item, stop) => {
      try {
        return await fetching.run(item, stop);
      } catch (error) {
        if (!(error instanceof RetryableError) || stop.aborted || !(await isDone(item, stop))) throw error;
        const { change } = item.subject;
        const sum = change.kind === 'write' ? change.sum : undefined;
        return { bytes: 0, sum, result: { code: 201, text: 'Downloaded, redelivered' } };
      }
    },
  };
}
