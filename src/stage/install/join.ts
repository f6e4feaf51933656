import { assemblingPath } from '../../file/assembling.js';
import { PermanentError } from '../../errors.js';
import type { Assembly, Entered, Joined, Target } from '../../flow/item.js';
import { type Settled, done } from '../../flow/outcome.js';
import { type Stage, pass } from '../../flow/stage.js';
import { mostBlocks } from '../../message/generation.js';
import { parsePubTime } from '../../message/pub-time.js';
import type { Assemblies, BlockAnswer } from '../../store/store.js';
import { ledgerSum } from './announced-block.js';
import { superseded } from '../fetch/latest.js';
import { namingOf } from '../fetch/leftover.js';
import type { Gathering } from '../fetch/open-block.js';
import { relativeTo } from '../place/target.js';

/** The file that blocks are written into, and what would be left of it; empty where nothing has to be cleared away. */
export type GatherIn = (
  target: Target,
  generation: string,
  storage: Assembly['storage'],
) => { readonly file: string; readonly leftover: string };

export interface JoinOptions {
  readonly gatherIn: GatherIn;
  /** What has been done with a file whose last block comes again. */
  readonly done: 'Downloaded' | 'Delivered';
}

/** A hidden file beside the target, or the target itself. */
const besideTarget =
  (inflight: string | undefined): GatherIn =>
  (target, generation, storage) => {
    const own = relativeTo(target);
    if (storage === 'inplace') return { file: own, leftover: '' };
    const file = assemblingPath(own, generation, namingOf(inflight));
    return { file, leftover: `${target.root}\n${file}` };
  };

/**
 * Takes a block in hand, and asks how far its file has come. A block of a file that is whole already ends here; one that
 * is in its place goes on, because the file may be complete by now.
 */
export function join(
  assemblies: Assemblies,
  inflight: string | undefined,
  { gatherIn, done: did }: JoinOptions = { gatherIn: besideTarget(inflight), done: 'Downloaded' },
): Stage<Entered, Pick<Joined, 'block'>> {
  return {
    name: 'join',
    run: (item, stop) =>
      item.assembly === undefined ? pass : taken(item, item.assembly, assemblies, gatherIn, did, stop),
  };
}

async function taken(
  item: Entered,
  { generation, parts, storage }: Assembly,
  assemblies: Assemblies,
  gatherIn: GatherIn,
  did: string,
  stop: AbortSignal,
): Promise<Pick<Joined, 'block'> | Settled> {
  const { target, subject } = item;
  if (generation.count > mostBlocks)
    throw new PermanentError(
      417,
      `${subject.baseUrl} ${subject.relPath} has ${generation.count} blocks, more than ${mostBlocks}: announce it in larger ones`,
    );
  const { file, leftover } = gatherIn(target, generation.key, storage);
  const answer = await assemblies.begin(
    {
      path: target.path,
      generation: generation.key,
      number: parts.number,
      count: generation.count,
      blockSize: generation.blockSize,
      size: generation.size,
      sum: subject.change.kind === 'write' ? ledgerSum(subject.change.sum) : '',
      instant: parsePubTime(subject.pubTime)?.instant ?? item.takenAt,
      leftover,
      growing: generation.growing,
    },
    stop,
  );
  const { key } = generation;
  const gathering = {
    file: placeOf(answer, target, file),
    doubt: () => assemblies.doubt(target.path, key, parts.number),
    made: () => assemblies.made(target.path, key, parts.number),
  };
  return gainOf(answer, gathering, item.repeated && `${did}, redelivered`);
}

/** Where its blocks gather: since the first of them, whatever `inflight` says now. */
function placeOf(answer: BlockAnswer, { root }: Target, file: string): string {
  const known = 'leftover' in answer ? answer.leftover : '';
  return known.startsWith(`${root}\n`) ? known.slice(root.length + 1) : file;
}

function gainOf(
  answer: BlockAnswer,
  gathering: Gathering,
  again: string | false,
): Pick<Joined, 'block'> | Settled {
  switch (answer.kind) {
    case 'missing':
      return { block: gathering };
    case 'present':
      return { block: { ...gathering, placed: answer } };
    case 'finished':
      // Its first record may never have been confirmed.
      return again !== false ? done(201, again) : done(304, 'Not modified: the file of this block is here');
    case 'superseded':
      return superseded();
  }
}
