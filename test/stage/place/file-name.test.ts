import { describe, expect, it } from 'vitest';
import { FatalError } from '../../../src/errors.js';
import { type NameContext, nameFile, parseFileNameOption } from '../../../src/stage/place/file-name.js';

const bulletin = 'SACN43_CWAO_012000_AAA_41613:ncp1:CWAO:SA:3:Direct:20160120065900';
const pubTime = '20160120070000.123';

const named = (option: string, name: string, more: Partial<NameContext> = {}): Promise<string> =>
  nameFile(
    parseFileNameOption(option),
    { name, pubTime, sundewExtension: undefined, ...more },
    async (script, found) => (script === 'keep' ? undefined : `${script}(${found})`),
  );

describe('the filename option', () => {
  it.each([
    ['WHATFN', bulletin, 'SACN43_CWAO_012000_AAA_41613'],
    ['WHATFN', 'plain', 'plain'],
    ['HEADFN', bulletin, 'SACN43_CWAO'],
    ['HEADFN', 'one:two', 'one'],
    ['NONE', bulletin, 'SACN43_CWAO_012000_AAA_41613:ncp1:CWAO:SA:3:Direct'],
    ['NONE', 'A:ncp1:CWAO:FD:3.A.I.E:3:20160120065900', 'A:ncp1:CWAO:FD:3.A.I.E'],
    ['NONE', 'A:b:c:d:e', 'A:b:c:d:e'],
    ['NONE', 'A:b:', 'A:b'],
    ['NONE', 'A:b:c:d:3:SENDER=xyz.txt:20160120065900', 'A:b:c:d:3'],
    ['NONESENDER', 'A:b:c:d:3:SENDER=xyz.txt:20160120065900', 'A:b:c:d:3:SENDER=xyz.txt'],
    ['NONESENDER', 'A:b:c:d:3:SENDER=xyz.txt', 'A:b:c:d:3:SENDER=xyz.txt'],
    ['NONESENDER', 'A:b:c:d:3:f:g', 'A:b:c:d:3:f'],
    ['SENDER', 'A:b:c:d:3:SENDER=xyz.txt:20160120065900', 'xyz.txt'],
    ['SENDER', 'A:b', 'A:b'],
    ['SENDER', 'A:SENDER=:b', 'A:SENDER=:b'],
    ['DESTFN=latest', bulletin, 'latest'],
    ['DESTFNSCRIPT=up', 'x', 'up(x)'],
    ['DESTFNSCRIPT=keep', 'x', 'x'],
    ['SATNET=7', 'x', 'x:SATNET=7'],
    ['TIME', 'x', 'x:20160120070000'],
    ['WHATFN:TIME', bulletin, 'SACN43_CWAO_012000_AAA_41613:20160120065900'],
    ['TIME', 'x:20160120065900', 'x:20160120065900'],
    ['TIME:SATNET=7:WHATFN', bulletin, 'SACN43_CWAO_012000_AAA_41613:SATNET=7:20160120065900'],
    ['DESTFN=a:DESTFNSCRIPT=up', 'x', 'up(a)'],
    ['rename=/obs/', 'x', 'x'],
  ])('%s makes of %s the name %s', async (option, name, wanted) => {
    expect(await named(option, name)).toBe(wanted);
  });

  it('takes the fields from the header of older pumps', async () => {
    const sundewExtension = 'b:c:d:3:SENDER=s:20160101000000';
    const more = { sundewExtension };
    expect(await named('WHATFN', 'A:old', more)).toBe('A');
    expect(await named('NONE', 'A', more)).toBe('A:b:c:d:3');
    expect(await named('SENDER', 'A', more)).toBe('s');
    expect(await named('WHATFN:TIME', 'A', more)).toBe('A:20160101000000');
  });

  it.each([
    '#',
    'WHATFNX',
    'whatfn',
    'NONE:',
    'WHATFN:NOPE',
    'DESTFN=',
    'TIME=1',
    'DESTFN=a/b',
    'constructor',
  ])('is a mistake in the configuration when it is %s', (option) => {
    expect(() => parseFileNameOption(option)).toThrow(FatalError);
  });
});
