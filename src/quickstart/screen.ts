/** What the newcomer sees: short steps, the commands as they would be typed, and a table at the end. */
export interface Screen {
  readonly title: (text: string) => void;
  /** Begins a numbered step. */
  readonly step: (text: string) => void;
  readonly line: (text: string) => void;
  /** A command as `who` would type it. */
  readonly command: (who: string, words: readonly string[]) => void;
  readonly table: (rows: readonly (readonly [name: string, value: string])[]) => void;
}

export interface Terminal {
  readonly write: (text: string) => unknown;
  readonly isTTY?: boolean;
}

/** One word as a shell would have to be given it. */
export const quoted = (word: string): string =>
  /^[\w@%+=:,./~-]+$/u.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** Names come from strangers: control characters must not reach a terminal. */
export const printable = (text: string): string => text.replace(/\p{Cc}/gu, '?');

/** `3.1 MiB`, `950 bytes` */
export function bytesText(bytes: number): string {
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let [amount, unit] = [bytes, 'bytes'];
  for (const next of units) {
    if (amount < 1024) break;
    [amount, unit] = [amount / 1024, next];
  }
  return unit === 'bytes' ? `${amount} bytes` : `${amount.toFixed(1)} ${unit}`;
}

/** Colours only on a terminal, and not when NO_COLOR is set to anything. */
export function openScreen(terminal: Terminal, variables: NodeJS.ProcessEnv): Screen {
  const isColourful = terminal.isTTY === true && (variables['NO_COLOR'] ?? '') === '';
  const paint = (code: number, text: string): string =>
    isColourful ? `\u001b[${code}m${text}\u001b[0m` : text;
  const say = (text: string): void => void terminal.write(`${text}\n`);
  let steps = 0;
  return {
    title: (text) => {
      say(paint(1, text));
    },
    step: (text) => {
      steps += 1;
      say(`\n${paint(1, `${steps}. ${text}`)}`);
    },
    line: (text) => {
      say(`   ${printable(text)}`);
    },
    command: (who, words) => {
      say(`   ${paint(36, `${who}$`)} ${printable(words.map(quoted).join(' '))}`);
    },
    table: (rows) => {
      const width = Math.max(...rows.map(([name]) => name.length));
      say('');
      for (const [name, value] of rows) say(`   ${paint(1, name.padEnd(width))}  ${printable(value)}`);
    },
  };
}
