import { PermanentError } from '../../errors.js';
import { isRecord } from '../engine/json-record.js';
import type { BlockClaim, Retry, RetryIdentity, ReviewRequest, Store } from '../store.js';

/** What a client may ask of a store over the socket, by name. */
export type Operation = (store: Store, args: readonly unknown[], signal: AbortSignal) => Promise<unknown>;

const refused = (what: string): PermanentError =>
  new PermanentError(
    417,
    `the store was asked with a wrong ${what}: the versions of the two processes may differ`,
  );

function text(value: unknown): string {
  if (typeof value !== 'string') throw refused('text');
  return value;
}

function number(value: unknown): number {
  if (typeof value !== 'number') throw refused('number');
  return value;
}

/** JSON has null where a caller left something out. */
const optionalText = (value: unknown): string | undefined =>
  value === undefined || value === null ? undefined : text(value);

function texts(value: unknown): readonly string[] {
  if (!Array.isArray(value)) throw refused('list');
  return value.map(text);
}

function numbers(value: unknown): readonly number[] {
  if (!Array.isArray(value)) throw refused('list');
  return value.map(number);
}

function identity(value: unknown): RetryIdentity {
  if (!isRecord(value) || !isRecord(value['headers'])) throw refused('retry');
  const headers = Object.fromEntries(
    Object.entries(value['headers']).map(([name, header]) => [name, text(header)]),
  );
  return {
    exchange: text(value['exchange']),
    topic: text(value['topic']),
    headers,
    body: text(value['body']),
  };
}

function retry(value: unknown): Omit<Retry, 'id'> {
  if (!isRecord(value)) throw refused('retry');
  return {
    ...identity(value),
    contentType: optionalText(value['contentType']),
    paths: texts(value['paths']),
    party: optionalText(value['party']),
    instant: number(value['instant']),
    firstFailure: number(value['firstFailure']),
    tries: number(value['tries']),
    reason: text(value['reason']),
  };
}

const optionalNumber = (value: unknown): number | undefined =>
  value === undefined || value === null ? undefined : number(value);

function reviewRequest(value: unknown): ReviewRequest {
  if (!isRecord(value) || !isRecord(value['filter'])) throw refused('request');
  const { path, host, failingSince } = value['filter'];
  const deed = value['deed'];
  if (deed !== 'look' && deed !== 'requeue' && deed !== 'drop') throw refused('deed');
  return {
    deed,
    filter: {
      path: optionalText(path),
      host: optionalText(host),
      failingSince: optionalNumber(failingSince),
    },
    limit: number(value['limit']),
    after: optionalText(value['after']),
    text: optionalText(value['text']),
  };
}

function block(value: unknown): BlockClaim {
  if (!isRecord(value)) throw refused('block');
  const growing = value['growing'];
  if (growing !== undefined && growing !== 'on' && growing !== 'ended') throw refused('block');
  return {
    path: text(value['path']),
    generation: text(value['generation']),
    number: number(value['number']),
    count: number(value['count']),
    blockSize: number(value['blockSize']),
    size: number(value['size']),
    sum: text(value['sum']),
    instant: number(value['instant']),
    leftover: text(value['leftover']),
    growing,
  };
}

export const operations: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ['claim', async ({ seen }, [key, ttl], signal) => seen.claim(text(key), number(ttl), signal)],
  ['commit', async ({ seen }, [key, ttl, path]) => seen.commit(text(key), number(ttl), optionalText(path))],
  ['release', async ({ seen }, [key]) => seen.release(text(key))],
  ['forgetPath', async ({ seen }, [path, unless]) => seen.forgetPath(text(path), optionalText(unless))],
  ['count', async ({ seen }) => seen.count()],
  [
    'enter',
    async ({ paths }, [list, instant, leftover, party], signal) =>
      paths.enter(texts(list), number(instant), optionalText(leftover), signal, optionalText(party)),
  ],
  ['confirm', async ({ paths }, [list]) => paths.confirm(texts(list))],
  ['leave', async ({ paths }, [list]) => paths.leave(texts(list))],
  ['blockBegin', async ({ assemblies }, [claim], signal) => assemblies.begin(block(claim), signal)],
  [
    'blockPlaced',
    async ({ assemblies }, [path, generation, n]) =>
      assemblies.placed(text(path), text(generation), number(n)),
  ],
  [
    'blockDoubt',
    async ({ assemblies }, [path, generation, n]) =>
      assemblies.doubt(text(path), text(generation), number(n)),
  ],
  [
    'blockMade',
    async ({ assemblies }, [path, generation, n]) => assemblies.made(text(path), text(generation), number(n)),
  ],
  [
    'blockLeave',
    async ({ assemblies }, [path, generation, n]) =>
      assemblies.leave(text(path), text(generation), number(n)),
  ],
  [
    'blockLack',
    async ({ assemblies }, [path, generation, list, reason]) =>
      assemblies.lack(text(path), text(generation), numbers(list), text(reason)),
  ],
  ['filesUnfinished', async ({ assemblies }) => assemblies.unfinished()],
  [
    'fileInstalling',
    async ({ assemblies }, [path, generation, note]) =>
      assemblies.installing(text(path), text(generation), optionalText(note)),
  ],
  [
    'fileFinished',
    async ({ assemblies }, [path, generation]) => assemblies.finished(text(path), text(generation)),
  ],
  ['add', async ({ retries }, [added, notBefore]) => retries.add(retry(added), number(notBefore))],
  ['ended', async ({ retries }, [message]) => retries.ended(identity(message))],
  ['take', async ({ retries }, [limit]) => retries.take(number(limit))],
  ['done', async ({ retries }, [id]) => retries.done(text(id))],
  [
    'again',
    async ({ retries }, [id, change]) => {
      if (!isRecord(change)) throw refused('change');
      return retries.again(text(id), {
        notBefore: number(change['notBefore']),
        reason: text(change['reason']),
      });
    },
  ],
  ['handBack', async ({ retries }, [id]) => retries.handBack(text(id))],
  ['size', async ({ retries }) => retries.size()],
  ['review', async ({ retries }, [request]) => retries.review(reviewRequest(request))],
  [
    'lease',
    async ({ bandwidth }, [perSecond, wanted], signal) =>
      bandwidth.lease(number(perSecond), number(wanted), signal),
  ],
  [
    'usageTake',
    async ({ usage }, [source, bytes, limit]) => usage.take(text(source), number(bytes), number(limit)),
  ],
  [
    'usageSettle',
    async ({ usage }, [source, bytes, change]) => usage.settle(text(source), number(bytes), number(change)),
  ],
  ['usageBegin', async ({ usage }, [source, age]) => usage.begin(text(source), number(age))],
  ['usageCounted', async ({ usage }, [source, bytes]) => usage.counted(text(source), number(bytes))],
  ['usageUncounted', async ({ usage }, [source]) => usage.uncounted(text(source))],
  ['keepFile', async ({ keptFiles }, [file, until]) => keptFiles.keep(text(file), number(until))],
  ['close', async (store) => store.close()],
]);
