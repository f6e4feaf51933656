import { appendFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { FatalError } from '../../src/errors.js';
import {
  type SavedMessage,
  decodeSaved,
  encodeSaved,
  openSaveFile,
  savePath,
  savedFiles,
} from '../../src/store/saved.js';
import { scratch } from '../file/scratch.js';

let path = '';
beforeEach(() => {
  path = join(scratch(), 's_01.save');
});

const message = (body: string): SavedMessage => ({
  exchange: 'xpublic',
  topic: 'v02.post.a',
  headers: { sum: 'd,x' },
  body,
  contentType: 'text/plain',
});
const linesIn = (file: string): readonly string[] => readFileSync(file, 'utf8').split('\n').slice(0, -1);

describe('a line of a save file', () => {
  it('comes back as it was', () => {
    const headers = fc.dictionary(
      fc.string().filter((name) => name !== '__proto__' && name !== '_retry_tag_'),
      fc.string(),
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(fc.string(), headers, fc.string({ unit: 'binary' }), (topic, table, body) => {
        const saved = { exchange: 'x', topic, headers: table, body, contentType: 'text/plain' };
        const line = encodeSaved(saved);
        expect(line).not.toContain('\n');
        expect(decodeSaved(line)).toEqual(saved);
      }),
    );
  });

  it('is read as version 2 writes it', () => {
    const line =
      '["v02.post.a", {"_retry_tag_": "done", "parts": "1,3,1,0,0", "n": 5}, "20160120070000 http://h/ /a"]';
    expect(decodeSaved(line)).toEqual({
      topic: 'v02.post.a',
      headers: { parts: '1,3,1,0,0', n: '5' },
      body: '20160120070000 http://h/ /a',
      exchange: undefined,
      contentType: undefined,
    });
  });

  it('is none when it is anything else', () => {
    for (const line of [
      '',
      '{',
      'null',
      '5',
      '{}',
      '[]',
      '["a", {}]',
      '["a", [], "b"]',
      '["a", null, "b"]',
      '[1, {}, "b"]',
    ])
      expect(decodeSaved(line), line).toBeUndefined();
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (line) => void decodeSaved(line)));
  });
});

describe('a save file', () => {
  it('holds what was appended, in order, for its owner alone, and goes on where it ended', async () => {
    for (const part of [['1', '2'], ['3']]) {
      const file = openSaveFile(path);
      await Promise.all(part.map((body) => file.append(message(body))));
      expect(file.count()).toBe(part.length);
      await file.close();
    }
    expect(linesIn(path).map((line) => decodeSaved(line)?.body)).toEqual(['1', '2', '3']);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('loses nothing but what a killed process had not finished', async () => {
    writeFileSync(path, `${encodeSaved(message('whole'))}\n${encodeSaved(message('torn')).slice(0, 20)}`);
    const file = openSaveFile(path);
    await file.append(message('next'));
    await file.close();
    expect(linesIn(path).map((line) => decodeSaved(line)?.body)).toEqual(['whole', 'next']);
    writeFileSync(path, 'x'.repeat(200_000));
    const again = openSaveFile(path);
    await again.append(message('only'));
    await again.close();
    expect(linesIn(path).map((line) => decodeSaved(line)?.body)).toEqual(['only']);
  });

  it('is not made before there is something to save, and says what is wrong when it cannot be written', async () => {
    const idle = openSaveFile(path);
    await idle.close();
    expect(existsSync(path)).toBe(false);
    mkdirSync(path);
    const failing = openSaveFile(path).append(message('x'));
    await expect(failing).rejects.toThrow(FatalError);
    await expect(failing).rejects.toThrow(/cannot save messages to .*They stay in the queue/);
  });

  it('is found by its stem, in the order of the instances', () => {
    const stem = path.replace('_01.save', '');
    expect(savedFiles(stem)).toEqual([]);
    for (const instance of [10, 2, 0]) writeFileSync(savePath(stem, instance), '');
    for (const other of [`${stem}_x.save`, `${stem}_03.save.done`, `${stem}.save`, `${stem}_extra_04.save`])
      appendFileSync(other, '');
    expect(savedFiles(stem).map(({ instance }) => instance)).toEqual([0, 2, 10]);
    expect(savedFiles(join(stem, 'nowhere', 's'))).toEqual([]);
  });
});
