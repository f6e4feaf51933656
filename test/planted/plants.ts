/** The bugs that the tests must find, each as a change of one place in the sources. */

/** Tests by their file and a part of their full name. */
export interface Tests {
  readonly file: string;
  readonly name: string;
}

export interface Plant {
  readonly bug: string;
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly original: string;
  readonly planted: string;
  /** At least one of them must fail. */
  readonly finders: readonly Tests[];
}

/** Passes with every plant: while nothing goes wrong a subscriber shows none of these bugs. */
export const fairWeather: Tests = {
  file: 'test/flows/hostile.test.ts',
  name: 'odd, and taken: a name with spaces',
};

export const plants: readonly Plant[] = [
  {
    bug: 'acknowledged before the rename',
    file: 'src/stage/install/install.ts',
    original: 'const work = options.flush ? flushed(item, root, options) : change(item, root, options);',
    planted: `const early = async (): Promise<Result> => {
        await item.close({ kind: 'done', code: 201, text: 'Done' });
        // Long enough for the acknowledgement to leave.
        await new Promise((resolve) => setTimeout(resolve, 50));
        return change(item, root, options);
      };
      const work = options.flush ? flushed(item, root, options) : early();`,
    finders: [
      { file: 'test/faults/steps.test.ts', name: "'a new file, duplicates suppressed', the process killed" },
    ],
  },
  {
    bug: 'acknowledged before the broker has the re-announcement',
    file: 'src/stage/pass/announce.ts',
    original: 'const { routed } = await publisher.publish(',
    planted: `const unheard = (...words: Parameters<typeof publisher.publish>): { routed: boolean } => {
        void publisher.publish(...words).catch(() => undefined);
        return { routed: true };
      };
      const { routed } = unheard(`,
    finders: [{ file: 'test/faults/confirm.test.ts', name: 'while the re-announcement is not confirmed' }],
  },
  {
    bug: 'acknowledged before the broker has the record',
    file: 'src/stage/settle/report.ts',
    original: 'await publisher.publish({ exchange, mandatory: false, ...encoded.message }, stop);',
    planted:
      'void publisher.publish({ exchange, mandatory: false, ...encoded.message }, stop).catch(() => undefined);',
    finders: [{ file: 'test/faults/confirm.test.ts', name: 'while the delivery record is not confirmed' }],
  },
  {
    bug: 'retry entry not flushed, with durability power',
    file: 'src/store/engine/level-engine.ts',
    original: 'flush ? { sync: true } : {}',
    planted: 'flush ? {} : {}',
    finders: [
      {
        file: 'test/faults/durability.test.ts',
        name: 'is flushed in the retry list before the acknowledgement',
      },
    ],
  },
  {
    bug: 'duplicate key committed before the file is installed',
    file: 'src/stage/choose/dedupe.ts',
    original: "if ((await seen.claim(key, ttl, stop)) === 'ours')",
    planted: "if ((await seen.claim(key, ttl, stop)) === 'ours' && ((await seen.commit(key, ttl)), true))",
    finders: [
      { file: 'test/faults/steps.test.ts', name: "'a new file, duplicates suppressed', the process killed" },
    ],
  },
  {
    bug: 'no check that a directory lies inside',
    file: 'src/file/inside.ts',
    original: 'const relative = relativeTo(base, handle.path);',
    planted: 'const relative = relativeTo(base, handle.path) ?? handle.path;',
    finders: [
      { file: 'test/file/inside.test.ts', name: 'while another process swaps a directory for a link' },
      { file: 'test/flows/hostile.test.ts', name: 'behind a link that leads out' },
    ],
  },
  {
    bug: 'blocks of a file that changes while it is read are announced as if it were one version',
    file: 'src/stage/post/cut.ts',
    original: 'if (!isWhole || !isThere || !isUnchanged(stat, after)) return false;',
    planted: 'if (!isWhole || !isThere) return false;',
    finders: [{ file: 'test/stage/post/blocks.test.ts', name: 'when it has another byte at its end' }],
  },
  {
    bug: 'the end of a file that grew is told although it has changed before its end',
    file: 'src/stage/post/follow.ts',
    original: 'if (course.told.get(block.parts.number) === block.value) continue;',
    planted: 'if (block.isWhole) continue;',
    finders: [{ file: 'test/stage/post/follow.test.ts', name: 'is compared with what was told' }],
  },
];
