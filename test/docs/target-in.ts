/** Where a configuration puts an announced path, by the code that would decide it. */
import { selectOptions } from '../../src/component/consuming.js';
import type { Config } from '../../src/config/config.js';
import { planOf, targetOf } from '../../src/stage/place/placement.js';
import { selectAnnouncement } from '../../src/stage/choose/select.js';

/** The absolute path; undefined when the rules drop it. */
export async function targetIn(config: Config, path: string, now: number): Promise<string | undefined> {
  const options = selectOptions(config);
  const announced = {
    topic: 'v02.post',
    pubTime: '20260120070000.000',
    baseUrl: 'https://data.example.org/',
    relPath: path,
    headers: new Map([['source', 'alice']]),
  };
  const selection = selectAnnouncement(announced, options);
  if (selection.verdict === 'reject') return undefined;
  const bases = { baseDir: undefined, postBaseDir: undefined };
  const plan = planOf(selection.rule ?? options.unmatched, { ...bases, home: '/cwd' });
  const target = await targetOf(plan, {
    ...bases,
    path,
    suffix: '',
    pubTime: announced.pubTime,
    source: 'alice',
    captures: selection.captures,
    sundewExtension: undefined,
    destfnScript: undefined,
    script: async () => undefined,
    now,
    warn: (text) => {
      throw new Error(text);
    },
  });
  return target.path;
}
