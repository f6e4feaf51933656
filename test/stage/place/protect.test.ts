import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Placed, Target } from '../../../src/flow/item.js';
import { retarget } from '../../../src/plugin/retarget.js';
import { place } from '../../../src/stage/place/place.js';
import { protect } from '../../../src/stage/place/protect.js';
import { accessText, readersOf } from '../../../src/stage/place/readers.js';
import { changed, never, roots, takenOf, targetIn, through, written } from '../items.js';
import { noPlacement, placeOptions, rule, selection } from '../placing.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sarracenia-access-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const text = 'Require user bob\n';
const guarded = (relative: string, directory: string, said = text): Target => ({
  ...targetIn(root, relative),
  access: { directory: join(root, directory), text: said },
});

function item(target: Target, more: Partial<Placed> = {}): Placed {
  const subject = more.subject ?? written(target.name, 'data');
  return {
    ...takenOf(subject),
    subject,
    placement: noPlacement,
    rule: undefined,
    captures: [],
    target,
    next: subject,
    ...more,
  };
}

const file = (directory: string): string => join(root, directory, '.htaccess');
const stage = () => protect(roots(), { directoryMode: undefined, flush: false });

describe('who may read', () => {
  it('stands in the directory of the rule, before and without the file, and nothing else does', async () => {
    await through(stage(), item(guarded('day/alice/a/b/f', 'day/alice')));
    expect(readFileSync(file('day/alice'), 'utf8')).toBe(text);
    expect(readdirSync(join(root, 'day/alice'))).toEqual(['.htaccess']);
  });

  it('is written into every new directory, and again when the directory or the file went or was changed', async () => {
    const protecting = stage();
    for (const day of ['one', 'two']) {
      await through(protecting, item(guarded(`${day}/f`, day)));
      expect(readFileSync(file(day), 'utf8')).toBe(text);
    }
    rmSync(join(root, 'one'), { recursive: true });
    await through(protecting, item(guarded('one/f', 'one')));
    expect(readFileSync(file('one'), 'utf8')).toBe(text);
    writeFileSync(file('one'), 'Require all granted\n');
    await through(protecting, item(guarded('one/f', 'one')));
    expect(readFileSync(file('one'), 'utf8')).toBe(text);
    await through(protecting, item(guarded('one/f', 'one', 'other')));
    expect(readFileSync(file('one'), 'utf8')).toBe('other');
  });

  it('is not touched where nothing was said, nor for a removal', async () => {
    await through(stage(), item(targetIn(root, 'day/f')));
    const subject = changed('f', { kind: 'remove' });
    await through(stage(), item(guarded('day/f', 'day'), { subject }));
    expect(existsSync(join(root, 'day'))).toBe(false);
  });

  it('holds for the other name of a rename, too', async () => {
    const subject = changed('f', { kind: 'remove' }, { moved: { to: 'g' } });
    await through(stage(), item(guarded('day/f', 'day'), { subject, counterpart: guarded('new/g', 'new') }));
    expect(existsSync(file('new'))).toBe(true);
  });

  it('goes with a file that a plugin has moved', async () => {
    const elsewhere = retarget(guarded('day/f', 'day'), { directory: 'other' });
    await through(stage(), item(elsewhere));
    expect(existsSync(file('other'))).toBe(true);
    await through(stage(), item(retarget(guarded('day/f', 'day'), { directory: 'day/below' })));
    expect(existsSync(file('day/below'))).toBe(false);
  });

  it('fails the file where it cannot be written: nothing is fetched unprotected', async () => {
    const protecting = stage();
    await through(protecting, item(guarded('day/f', 'day')));
    rmSync(file('day'));
    chmodSync(join(root, 'day'), 0o500);
    // A superuser may write everywhere.
    if (process.getuid?.() === 0) return;
    const outcome = await through(protecting, item(guarded('day/f', 'day'))).catch(String);
    expect(JSON.stringify(outcome)).toContain('.htaccess');
    chmodSync(join(root, 'day'), 0o700);
  });

  it('may depend on the source, whose name cannot say more than that', async () => {
    const access = { users: ['${SOURCE}', 'pumpb'] };
    const directory = `${root}/\${YYYYMMDD}/\${SOURCE}`;
    const accepting = rule('accept', '.*', { access, directory });
    const options = placeOptions({ selection: selection([accepting]) });
    const subject = written('x/f', 'data', { headers: new Map([['source', 'alice']]) });
    const selected = { ...takenOf(subject), subject, placement: accepting, rule: accepting, captures: [] };
    const gain = await place(options).run(selected, never());
    expect(gain).toMatchObject({
      target: {
        access: {
          directory: `${root}/20160120/alice`,
          text: expect.stringContaining('user alice pumpb\n') as string,
        },
      },
    });
    const readers = readersOf({ ...noPlacement, access, directory });
    if (readers === undefined) throw new Error('no readers');
    for (const source of [undefined, '', 'a\nRequire all granted', 'a b', '"', '.'])
      expect(() => accessText(readers, source), String(source)).toThrow('is no name of a user');
  });
});
