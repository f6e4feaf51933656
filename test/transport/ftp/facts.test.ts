import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  entryOf,
  factsCommand,
  featuresOf,
  sizeOf,
  timeOf,
  writtenTime,
} from '../../../src/transport/ftp/facts.js';
import { fromNetwork, toNetwork, type LineEnds } from '../../../src/transport/ftp/text-mode.js';

const listing = (line: string): Parameters<typeof entryOf>[0] => ({
  code: 250,
  message: `250-Start\n${line}\n250 End`,
});

describe('what servers say of a file', () => {
  it.each([
    [
      ' type=file;size=12;modify=20200102030405;UNIX.mode=0640; /a b',
      'file',
      12,
      0o640,
      '2020-01-02T03:04:05.000Z',
    ],
    ['Type=dir;Modify=20200102030405.5; x', 'directory', undefined, undefined, '2020-01-02T03:04:05.500Z'],
    [' type=OS.unix=symlink;size=3; x', 'link', 3, undefined, undefined],
    [' type=OS.unix=slink:/target;size=x; y', 'link', undefined, undefined, undefined],
    [' type=device; x', 'other', undefined, undefined, undefined],
  ])('%s', (line, kind, size, mode, modified) => {
    const entry = entryOf(listing(line));
    expect({ ...entry, modified: entry?.modified?.toISOString() }).toEqual({ kind, size, mode, modified });
  });

  it('is nothing when it is no list of facts', () => {
    expect(entryOf({ code: 250, message: '250 fine' })).toBeUndefined();
  });

  it('is asked for without what nobody reads', () => {
    const features = featuresOf({
      code: 211,
      message: '211-Features\n MLST modify*;perm*;size*;type*;unique*;UNIX.mode;\n REST STREAM\n211 End',
    });
    expect(factsCommand(features)).toBe('OPTS MLST modify;size;type;UNIX.mode;');
    expect(features.get('REST')).toBe('STREAM');
    expect(factsCommand(new Map())).toBeUndefined();
    expect(featuresOf({ code: 500, message: '500 what' }).size).toBe(0);
  });

  it('is a number, or not', () => {
    expect(sizeOf({ code: 213, message: '213 12, some words' })).toBe(12);
    expect(sizeOf({ code: 213, message: '213 many' })).toBeUndefined();
    expect(sizeOf({ code: 550, message: '550 12' })).toBeUndefined();
  });

  it('is a time that comes back as it went', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), (seconds) => {
        const time = new Date(seconds * 1000);
        expect(timeOf(writtenTime(time))).toEqual(time);
      }),
    );
    expect(timeOf('yesterday')).toBeUndefined();
  });
});

describe('text', () => {
  const through = (lines: LineEnds, pieces: readonly string[]): string =>
    Buffer.concat([...pieces.map((piece) => lines.next(Buffer.from(piece))), lines.rest()]).toString();
  const cut = fc.array(
    fc.array(fc.constantFrom('a', '\r', '\n'), { maxLength: 5 }).map((all) => all.join('')),
  );

  it('comes with line ends as they are here, however it is cut', () => {
    fc.assert(
      fc.property(cut, (pieces) => {
        expect(through(fromNetwork(), pieces)).toBe(pieces.join('').replaceAll('\r\n', '\n'));
      }),
    );
  });

  it('goes with line ends as they are on the way, however it is cut', () => {
    fc.assert(
      fc.property(cut, (pieces) => {
        expect(through(toNetwork(), pieces)).toBe(pieces.join('').replaceAll(/\r?\n/gu, '\r\n'));
      }),
    );
  });
});
