import type { Journal } from './engine/journal.js';

/** What items in hand would leave behind. */
export interface Leftovers {
  /** Writes one down, with the journal; answers the number by which it is forgotten. */
  readonly note: (text: string) => number;
  /** Nothing of it is left. */
  readonly forget: (id: number) => void;
  /** What earlier owners noted and did not forget. */
  readonly found: readonly string[];
  /** The care for what was found has ended. */
  readonly clear: () => void;
}

/** Lines that were noted and not forgotten. One that cannot be read was never noted to its end. */
function readNotes(lines: readonly string[]): Map<number, string> {
  const notes = new Map<number, string>();
  for (const line of lines) {
    const [, id, note] = /^(\d+)(?: (".*"))?$/s.exec(line) ?? [];
    if (id === undefined) continue;
    if (note === undefined) notes.delete(Number(id));
    else notes.set(Number(id), textOf(note));
  }
  return notes;
}

function textOf(note: string): string {
  try {
    return String(JSON.parse(note));
  } catch (error) {
    void error;
    return '';
  }
}

const lineOf = (id: number, text: string): string => `${id} ${JSON.stringify(text)}`;

/** The lines `5 "text"`, which notes, and `5`, which forgets. */
export function leftoversIn(journal: Journal): Leftovers {
  const live = readNotes(journal.found);
  const before = [...live].filter(([, text]) => text !== '');
  let last = Math.max(0, ...live.keys());
  journal.keep(() => [...live].map(([id, text]) => lineOf(id, text)));
  const forget = (id: number): void => {
    if (live.delete(id)) journal.add(String(id));
  };
  return {
    found: before.map(([, text]) => text),
    clear: () => {
      for (const [id] of before) forget(id);
    },
    note: (text) => {
      last += 1;
      live.set(last, text);
      journal.add(lineOf(last, text));
      return last;
    },
    forget,
  };
}
