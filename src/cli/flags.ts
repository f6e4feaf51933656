/** What a command line says besides options and names: how the command itself shall behave. */
export interface Flags {
  /** Answer in JSON. */
  readonly json: boolean;
  /** Overwrite what is there. */
  readonly force: boolean;
  /** The other words. */
  readonly words: readonly string[];
}

/** Takes the flags out of a command line, as far as `--`. */
export function takeFlags(words: readonly string[]): Flags {
  const end = words.indexOf('--');
  const head = end < 0 ? words : words.slice(0, end);
  const isFlag = (word: string): boolean => word === '--json' || word === '--force';
  return {
    json: head.includes('--json'),
    force: head.includes('--force'),
    words: [...head.filter((word) => !isFlag(word)), ...words.slice(head.length)],
  };
}
