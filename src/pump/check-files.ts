import type { Finding } from './findings.js';

/** One configuration of the service account, as far as it says something of the pump. */
export interface ReadFile {
  /** `sarra/from_alice`. */
  readonly name: string;
  /** Why it cannot be used. */
  readonly problem?: string | undefined;
  /** Broker and queue, where the name of the queue is fixed. */
  readonly queue?: string | undefined;
}

/** Configurations that cannot be used, and those that take each other's messages. */
export function checkFiles(files: readonly ReadFile[]): readonly Finding[] {
  const readers = new Map<string, string[]>();
  const found: Finding[] = [];
  for (const { name, problem, queue } of files) {
    if (problem !== undefined)
      found.push({
        ...basics,
        code: 'bad-configuration',
        severity: 'error',
        object: name,
        text: problem,
        remedy: 'correct the line',
      });
    if (queue !== undefined) readers.set(queue, [...(readers.get(queue) ?? []), name]);
  }
  for (const [queue, names] of readers)
    if (names.length > 1)
      found.push({
        ...basics,
        code: 'shared-queue',
        severity: 'warning',
        object: queue,
        text: `${names.join(' and ')} read the same queue: each gets a part of its messages`,
        remedy: 'give each a queue_name of its own, unless they are meant to share it',
      });
  return found;
}

const basics = { class: 'pump', repair: undefined } as const;

/** A file of passwords that others can read. */
export function checkMode(file: string, mode: number | undefined): readonly Finding[] {
  if (mode === undefined || (mode & 0o077) === 0) return [];
  return [
    {
      ...basics,
      code: 'open-credentials',
      severity: 'error',
      object: file,
      text: `${file} has mode ${(mode & 0o7777).toString(8).padStart(4, '0')}: others can read the passwords in it`,
      remedy: `chmod 600 ${file}, and change the passwords if others could read them`,
    },
  ];
}
