import type { RemoteEntry } from '../transport.js';
import { isDone, type Reply } from './reply.js';

/** What a server says that it can do, in capitals, and with what parameters. */
export type Features = ReadonlyMap<string, string>;

/** Reads the answer to FEAT: between its first line and its last one, a feature on each. */
export function featuresOf(reply: Reply): Features {
  if (!isDone(reply)) return new Map();
  const lines = reply.message.split('\n').slice(1, -1);
  return new Map(
    lines.map((line) => {
      const [name = '', ...words] = line.trim().split(' ');
      return [name.toUpperCase(), words.join(' ')];
    }),
  );
}

/** Facts that are asked for, as they are named in commands and answers. */
const wanted = ['type', 'size', 'modify', 'unix.mode'];

/** The command by which a server tells what we want of a file and no more; undefined when it tells that anyway. */
export function factsCommand(features: Features): string | undefined {
  const known = features.get('MLST')?.split(';') ?? [];
  const names = known.filter((name) => wanted.includes(name.replace(/\*$/u, '').toLowerCase()));
  if (names.length === 0) return undefined;
  return `OPTS MLST ${names.map((name) => `${name.replace(/\*$/u, '')};`).join('')}`;
}

/** Reads the answer to MLST; undefined when there is nothing of use in it. */
export function entryOf(reply: Reply): RemoteEntry | undefined {
  const line = reply.message.split('\n').find((one) => /^ ?[^ ]*=[^ ]*; /u.test(one));
  if (line === undefined) return undefined;
  const facts = new Map(
    (line.trimStart().split(' ')[0] ?? '').split(';').map((fact) => {
      const [name = '', ...value] = fact.split('=');
      return [name.toLowerCase(), value.join('=')];
    }),
  );
  const mode = facts.get('unix.mode') ?? '';
  return {
    kind: kindOf(facts.get('type')?.toLowerCase() ?? ''),
    size: numberOf(facts.get('size')),
    mode: /^[0-7]{3,5}$/u.test(mode) ? Number.parseInt(mode, 8) & 0o7777 : undefined,
    modified: timeOf(facts.get('modify')),
  };
}

function kindOf(type: string): RemoteEntry['kind'] {
  if (type === 'file') return 'file';
  if (type === 'dir' || type === 'cdir' || type === 'pdir') return 'directory';
  return /^os\.unix=s(ym)?link/u.test(type) ? 'link' : 'other';
}

/** A number of bytes; undefined when it is none. */
export const numberOf = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,15}$/u.test(text) ? Number(text) : undefined;

/** The number that an answer to SIZE gives. */
export const sizeOf = (reply: Reply): number | undefined =>
  reply.code === 213 ? numberOf(/^213 +(\d+)/u.exec(reply.message)?.[1]) : undefined;

/** A time as servers write it, `20260102030405.678`; undefined when it is none. */
export function timeOf(text: string | undefined): Date | undefined {
  const groups = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\.\d+)?/u.exec(text ?? '');
  if (groups === null) return undefined;
  const [year = 0, month = 1, day, hour, minute, second] = groups.slice(1, 7).map(Number);
  const fraction = Math.floor(Number(`0${groups[7] ?? ''}`) * 1000);
  const time = new Date(Date.UTC(year, month - 1, day, hour, minute, second, fraction));
  return Number.isNaN(time.getTime()) ? undefined : time;
}

/** The same the other way round, in whole seconds: fractions are more than many servers read. */
export const writtenTime = (time: Date): string =>
  time.toISOString().replace(/\..*$/u, '').replace(/[-T:]/gu, '');
