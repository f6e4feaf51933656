import { contentAlgorithm, digestOf, type StreamDigest } from '../../checksum/algorithms.js';
import { digestOfFile, openDigest } from '../../checksum/block-digest.js';
import type { Inflight } from '../../file/inflight.js';
import { openInflight } from '../../file/inflight.js';
import { openInside } from '../../file/look.js';
import { takeOver } from '../../file/take-over.js';
import type { Fetched } from '../../flow/item.js';
import { wholeFile } from '../../message/parts.js';
import { fetchPath } from '../../message/retrieval-url.js';
import { attempt } from '../../transport/attempts.js';
import type { Download, Session } from '../../transport/transport.js';
import { attributesOf, modeOf } from './attributes.js';
import { type Came, type Job, decline, judge, lengthDiffers, refuseSize } from './fetch-job.js';
import { namingOf } from './leftover.js';
import { relativeTo } from '../place/target.js';

/** What came over the wire, standing under its private name. */
interface Received extends Came {
  readonly inflight: Inflight;
  readonly bytes: number;
}

/** Bytes of one version of a file, from its first on, and their digest so far. */
interface Taking {
  readonly inflight: Inflight;
  readonly digest: StreamDigest | undefined;
  /** What the server calls this version, and its bytes: without them nobody can go on where it was cut. */
  readonly validator: string | undefined;
  readonly total: number | undefined;
}

/** What one attempt leaves to the next one. */
interface Rest {
  cut?: Taking | undefined;
}

type Gain = Pick<Fetched, 'inflight' | 'bytes' | 'sum' | 'result' | 'next' | 'upstream'>;

/**
 * Fetches a whole file: verified, under its private name. A transfer that was cut goes on where it was, in the next
 * attempt, when the server vouches that the file is still the same.
 */
export function fetchFile(job: Job, stop: AbortSignal): Promise<Gain> {
  const rest: Rest = {};
  return attempt((number) => once(job, number, rest, stop), { attempts: job.lastAttempt, stop }).catch(
    async (thrown: unknown) => {
      await giveUp(rest);
      throw thrown;
    },
  );
}

/** A block that is kept as a file of its own stays a block to those further down. */
function partsOf({ item: { next } }: Job) {
  const parts = next.change.kind === 'write' ? next.change.parts : undefined;
  return parts?.method === 'p' ? parts : undefined;
}

async function giveUp(rest: Rest): Promise<void> {
  const { cut } = rest;
  rest.cut = undefined;
  cut?.digest?.abandon();
  await cut?.inflight.discard();
}

async function once(job: Job, number: number, rest: Rest, stop: AbortSignal): Promise<Gain> {
  const session = await job.transports.session(job.item.subject.baseUrl, stop);
  try {
    const came = await receive(job, session, rest, stop);
    const { inflight, bytes } = came;
    try {
      const { sum, result } = judge(job, came, number);
      const attributes = attributesOf(job.item.subject, job.options);
      const finishing = inflight.finish({ flush: job.options.flush, ...attributes });
      if (finishing !== undefined) await finishing;
      const change = { kind: 'write', sum, parts: partsOf(job) ?? wholeFile(bytes) } as const;
      const next = Object.assign({}, job.item.next, { change });
      return { inflight, bytes, sum, result, next, upstream: { modified: came.modified } };
    } catch (thrown) {
      await inflight.discard();
      throw thrown;
    }
  } finally {
    await session.close();
  }
}

async function receive(job: Job, session: Session, rest: Rest, stop: AbortSignal): Promise<Received> {
  const path = fetchPath(job.item.subject.baseUrl, job.item.subject.relPath);
  const local = job.range === undefined ? session.localPath?.(path) : undefined;
  if (local !== undefined) {
    const taken = await receiveLocal(job, local, stop);
    if (taken !== undefined) return taken;
  }
  if (rest.cut !== undefined) return goOn(job, session, path, rest, stop);
  return receiveBytes(job, await session.get(path, stop, job.range), rest);
}

/** A file of this machine: linked or cloned, then read once for its sum. Undefined when it must be copied. */
async function receiveLocal(job: Job, source: string, stop: AbortSignal): Promise<Received | undefined> {
  const { item, root, options, size } = job;
  const taken = await takeOver(root, source, relativeTo(item.target), namingOf(options.inflight), {
    directoryMode: options.directoryMode,
  });
  if (taken === undefined) return undefined;
  const { inflight, how } = taken;
  try {
    const file = await openInside(root, inflight.relPath);
    try {
      const stat = await file.stat();
      refuseSize(item, stat.size, options);
      if (size !== undefined && stat.size !== size) throw lengthDiffers(job, stat.size);
      const algorithm = contentAlgorithm(job.sum);
      const value = algorithm && (await digestOfFile(file, algorithm, { stop })).value;
      return {
        inflight,
        bytes: stat.size,
        value,
        modified: stat.mtime,
        how: how === 'linked' ? 'Linked' : 'Copied',
      };
    } finally {
      await file.close();
    }
  } catch (thrown) {
    await inflight.discard();
    throw thrown;
  }
}

/** Asks for what is missing of a file whose transfer was cut; all of it when it is another one by now. */
async function goOn(
  job: Job,
  session: Session,
  path: string,
  rest: Rest,
  stop: AbortSignal,
): Promise<Received> {
  const { inflight, total = 0, validator = '' } = rest.cut ?? {};
  const offset = inflight?.size() ?? 0;
  const from = (job.range?.offset ?? 0) + offset;
  const download = await session.get(path, stop, { offset: from, length: total - offset, validator });
  const taking = rest.cut;
  if (taking === undefined || download.isAnew === true || download.size !== total - offset) {
    await giveUp(rest);
    if (download.isAnew === true && job.range === undefined) return receiveBytes(job, download, rest);
    await decline(download);
    throw lengthDiffers(job, offset + (download.size ?? 0));
  }
  rest.cut = undefined;
  return received(job, download, taking.inflight, await takeStream(job, taking, download, rest));
}

async function receiveBytes(job: Job, download: Download, rest: Rest): Promise<Received> {
  const { size } = job;
  try {
    refuseSize(job.item, download.size, job.options);
    if (size !== undefined && download.size !== undefined && download.size !== size)
      throw lengthDiffers(job, download.size);
  } catch (thrown) {
    await decline(download);
    throw thrown;
  }
  const { whole } = download;
  let inflight: Inflight;
  try {
    inflight = openFor(job);
  } catch (thrown) {
    await decline(download);
    throw thrown;
  }
  if (whole === undefined) {
    const algorithm = contentAlgorithm(job.sum);
    const taking: Taking = {
      inflight,
      digest: algorithm && openDigest(algorithm, size ?? download.size),
      validator: download.validator,
      total: download.size,
    };
    return received(job, download, inflight, await takeStream(job, taking, download, rest));
  }
  try {
    for (const piece of whole) {
      const written = inflight.write(piece);
      if (written !== undefined) await written;
    }
    refuseSize(job.item, inflight.size(), job.options);
    const algorithm = contentAlgorithm(job.sum);
    const value = algorithm && digestOf(algorithm, ...whole);
    if (size !== undefined && inflight.size() !== size) throw lengthDiffers(job, inflight.size());
    return received(job, download, inflight, value);
  } catch (thrown) {
    await inflight.discard();
    throw thrown;
  }
}

const received = (
  { item }: Job,
  { modified }: Download,
  inflight: Inflight,
  value: string | undefined,
): Received => ({
  inflight,
  bytes: inflight.size(),
  value,
  modified,
  how: item.subject.baseUrl.startsWith('file:') ? 'Copied' : 'Downloaded',
});

/** Writes what comes, as it comes, and returns its sum where one is asked for. What was cut is left to the next attempt. */
async function takeStream(
  job: Job,
  taking: Taking,
  download: Download,
  rest: Rest,
): Promise<string | undefined> {
  const { item, size, options } = job;
  const { inflight, digest, validator, total } = taking;
  const source = download.data[Symbol.asyncIterator]();
  let isAsking = false;
  try {
    for (;;) {
      isAsking = true;
      const came = await source.next();
      isAsking = false;
      if (came.done === true) {
        if (size !== undefined && inflight.size() !== size) throw lengthDiffers(job, inflight.size());
        return await digest?.value();
      }
      const chunk = came.value;
      const sizeNow = inflight.size() + chunk.byteLength;
      if (size !== undefined && sizeNow > size) throw lengthDiffers(job, sizeNow);
      refuseSize(item, sizeNow, options);
      const written = inflight.write(chunk);
      const hashed = digest?.update(chunk);
      // Both at once, so that neither can fail unheard while the other is awaited.
      if (written !== undefined || hashed !== undefined) await Promise.all([written, hashed]);
    }
  } catch (thrown) {
    if (isAsking && validator !== undefined && inflight.size() > 0 && inflight.size() < (total ?? 0)) {
      rest.cut = taking;
      throw thrown;
    }
    if (!isAsking) await source.return?.();
    digest?.abandon();
    await inflight.discard();
    throw thrown;
  }
}

const openFor = ({ item, root, options }: Job): Inflight =>
  openInflight(root, relativeTo(item.target), namingOf(options.inflight), {
    mode: modeOf(item.subject, options),
    directoryMode: options.directoryMode,
  });
