/** Reads what strace wrote about a program: which files it flushed and renamed, and what it acknowledged, in order. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';

/** Runs a program under strace, which writes to `log`. */
export const traced = (log: string): readonly string[] => [
  'strace',
  '--follow-forks',
  '--decode-fds=path,socket',
  '--strings-in-hex=all',
  '--string-limit=1000000',
  '--signal=none',
  '--trace=fsync,fdatasync,rename,renameat,renameat2,write,writev,sendto,sendmsg',
  `--output=${log}`,
];

/** A system call. It lay between the lines `from` and `to` of the log, which are the same when nothing came between. */
export type Call =
  /** Of a file or directory, by its path. */
  | { readonly kind: 'flush'; readonly path: string; readonly from: number; readonly to: number }
  | {
      readonly kind: 'rename';
      /** Last elements of the old and the new path. */
      readonly source: string;
      readonly target: string;
      readonly from: number;
      readonly to: number;
    }
  /** Into a file, by its path. */
  | {
      readonly kind: 'write';
      readonly path: string;
      readonly data: Buffer;
      readonly from: number;
      readonly to: number;
    }
  /** An acknowledgement of one message, or of all up to it, handed to the system. */
  | {
      readonly kind: 'acknowledge';
      readonly tag: number;
      readonly multiple: boolean;
      readonly from: number;
      readonly to: number;
    };

const inHex = /(?:\\x[0-9a-f]{2})+/gu;

const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll('\\x', ''), 'hex');

interface Span {
  readonly name: string;
  readonly text: string;
  readonly from: number;
  readonly to: number;
}

/** The calls that succeeded, each with all its text, in the order in which they ended. */
function spansOf(log: string): Span[] {
  const begun = new Map<string, { readonly text: string; readonly from: number }>();
  const spans: Span[] = [];
  for (const [number, line] of log.split('\n').entries()) {
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/u.exec(line) ?? [];
    const unfinished = /^(.*) <unfinished \.\.\.>$/u.exec(rest)?.[1];
    if (unfinished !== undefined) {
      begun.set(thread, { text: unfinished, from: number });
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/u.exec(rest)?.[1];
    const start = resumed === undefined ? undefined : begun.get(thread);
    const text = (start?.text ?? '') + (resumed ?? rest);
    const name = /^(\w+)\(/u.exec(text)?.[1];
    if (name === undefined || / = -1 /u.test(text)) continue;
    spans.push({ name, text, from: start?.from ?? number, to: number });
  }
  return spans;
}

/** A method frame with `basic.ack`, as AMQP 0-9-1 writes it; tags of tests are small. */
const ack = /\x01[\s\S]{2}\x00\x00\x00\x0d\x00\x3c\x00\x50\x00{4}([\s\S]{4})([\x00\x01])\xce/gu;

function callsOf({ name, text, from, to }: Span): Call[] {
  const strings = [...text.matchAll(inHex)].map(([hex]) => bytesOf(hex));
  if (name === 'fsync' || name === 'fdatasync')
    return [{ kind: 'flush', path: strings[0]?.toString() ?? '', from, to }];
  if (name.startsWith('rename')) {
    const [source = '', target = ''] = strings.slice(-2).map((path) => basename(path.toString()));
    return [{ kind: 'rename', source, target, from, to }];
  }
  if (/^\w+\(\d+<\\x/u.test(text)) {
    const [path, ...data] = strings;
    return [{ kind: 'write', path: path?.toString() ?? '', data: Buffer.concat(data), from, to }];
  }
  // On a socket, whose descriptor shows no path: nothing else writes frames.
  const sent = Buffer.concat(strings).toString('latin1');
  return [...sent.matchAll(ack)].map(([, tag = '', flags]) => ({
    kind: 'acknowledge',
    tag: Buffer.from(tag, 'latin1').readUInt32BE(),
    multiple: flags === '\x01',
    from,
    to,
  }));
}

/** Everything of interest that a program did, in the order in which it ended. */
export const callsIn = async (log: string): Promise<Call[]> =>
  spansOf(await readFile(log, 'latin1')).flatMap(callsOf);
