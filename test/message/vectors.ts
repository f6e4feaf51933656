import { readFileSync } from 'node:fs';

/** A message as a vector or a sample writes it down. */
export interface WrittenMessage {
  readonly topic: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>> | null;
}

export interface Vector {
  readonly id: string;
  readonly group: string;
  readonly use: 'emit' | 'reference' | 'accept' | 'avoid' | 'future';
  readonly input: Readonly<Record<string, unknown>>;
  readonly output: Readonly<Record<string, unknown>>;
  readonly note?: string;
}

export interface Sample extends WrittenMessage {
  readonly label: string;
  readonly properties: { readonly content_type?: string };
}

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../fixtures/v02/${name}`, import.meta.url), 'utf8'));

const { vectors } = read('vectors.json') as { vectors: Vector[] };

/** The vectors of a group; a group that is not there fails instead of testing nothing. */
export function vectorsOf(group: string): Vector[] {
  const found = vectors.filter((vector) => vector.group === group);
  if (found.length === 0) throw new Error(`no vectors of group ${group}`);
  return found;
}

/** Messages captured from the existing programs. */
export const { samples } = read('wire-samples.json') as { samples: Sample[] };
