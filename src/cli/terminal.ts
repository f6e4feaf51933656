import type { Terminal } from '../action/action.js';
import { FatalError, systemCode } from '../errors.js';
import { startProgress } from './progress.js';

/** The terminal of this process, and how to leave it. */
export interface OpenTerminal extends Terminal {
  /** Whoever read our standard output has gone away, as `head` does when it has seen enough. */
  readonly readerGone: () => boolean;
  /** Resolves when everything written has left this process. */
  readonly flushed: () => Promise<void>;
}

export interface Streams {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Resolves when a stream has taken what was written to it; to a pipe nobody reads fast, that is some time later. */
function taken(stream: NodeJS.WriteStream, otherwise?: Set<() => void>): Promise<void> | undefined {
  if (stream.writableLength === 0 || stream.destroyed) return undefined;
  return new Promise((resolve) => {
    stream.write('', () => resolve());
    otherwise?.add(resolve);
  });
}

/** Colours are wanted on a terminal, unless NO_COLOR is set (https://no-color.org) or the terminal has none. */
export const wantsColour = (
  stream: Pick<NodeJS.WriteStream, 'isTTY'>,
  environment: Streams['environment'],
): boolean => stream.isTTY && (environment['NO_COLOR'] ?? '') === '' && environment['TERM'] !== 'dumb';

const escape = '\u001b[';

/** Done is green, more to do is dim, refused is yellow, failed is red. */
function colourOf(code: number): string {
  if (code < 300) return '32';
  if (code < 400) return '2';
  return code < 500 ? '33' : '31';
}

export function openTerminal({ stdout, stderr, environment }: Streams): OpenTerminal {
  let gone = false;
  const drained = new Set<() => void>();
  const release = (): void => {
    for (const resolve of drained) resolve();
    drained.clear();
  };
  stdout.on('error', (thrown) => {
    if (systemCode(thrown) !== 'EPIPE') throw thrown;
    gone = true;
    release();
  });
  stdout.on('drain', release);
  // Nowhere left to complain.
  stderr.on('error', () => undefined);
  const isWatched = stderr.isTTY;
  const hasColour = wantsColour(stdout, environment);
  let drawing: ReturnType<typeof startProgress> | undefined;
  return {
    isWatched,
    readerGone: () => gone,
    colour: (code, text) => (hasColour ? `${escape}${colourOf(code)}m${text}${escape}0m` : text),
    write: async (line) => {
      if (stdout.isTTY) drawing?.clear();
      if (!gone && !stdout.write(`${line}\n`)) await new Promise<void>((resolve) => drained.add(resolve));
      if (gone) throw new FatalError('nobody reads standard output any more');
    },
    note: (text) => {
      drawing?.clear();
      stderr.write(text);
    },
    progress: (look) => {
      if (!isWatched) return { end: () => undefined };
      const begun = startProgress(stderr, look, performance.now());
      drawing = begun;
      return {
        end: () => {
          begun.end();
          drawing = undefined;
        },
      };
    },
    flushed: async () => {
      await Promise.all([
        gone ? undefined : taken(stdout, drained),
        // What went wrong is told to its last line.
        taken(stderr),
      ]);
    },
  };
}
