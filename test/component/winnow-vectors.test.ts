import { describe, expect, it } from 'vitest';
import { type Message, openLab } from '../options/lab.js';
import { vectorsOf, type WrittenMessage } from '../message/vectors.js';

/* What the existing programs let pass, and what they drop. */

/** Messages of a vector whose end is another here, by their place: both lose data there. */
const otherwise: Readonly<Record<string, ReadonlyMap<number, string>>> = {
  // A checksum of kind 0 says nothing, so nothing is equal by it.
  W01: new Map([[5, '201']]),
  // Two blocks of one file with equal contents are two blocks.
  W02: new Map([[9, '201']]),
  W03: new Map([[9, '201']]),
  W04: new Map([[9, '201']]),
};

/** In W01 the checksum alone decides. */
const basisOf = (options: Readonly<Record<string, string>>): string =>
  options['log_exchange'] === undefined ? (options['cache_basis'] ?? 'path') : 'data';

const textOf = ({ body }: { readonly body: Uint8Array }): string => Buffer.from(body).toString();

const sorted = (all: readonly WrittenMessage[]): readonly WrittenMessage[] =>
  all.toSorted((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1));

const keyOf = ({ body, headers }: WrittenMessage): string => body + JSON.stringify(headers);

describe.each(vectorsOf('winnow'))('$id', ({ id, input, output }) => {
  const messages = input['messages'] as readonly WrittenMessage[];
  const theirs = output['reports'] as readonly WrittenMessage[];
  const wanted = theirs.map(
    ({ body }, at) => otherwise[id]?.get(at) ?? / (\d{3}) \S+ \S+ <elapsed>$/.exec(body)?.[1],
  );

  it('passes on the first, as it came, and records the others', async () => {
    const lab = openLab();
    try {
      const lines = [
        `suppress_duplicates_basis ${basisOf(input['options'] as Record<string, string>)}`,
        'report_dialect report',
        'lanes 1',
      ];
      const given: Message[] = messages.map(({ headers, ...message }) => ({
        ...message,
        exchange: 'xin',
        headers: headers ?? {},
      }));
      const { posts, records } = await lab.run('winnow', lines, { messages: given });
      // Messages about one path wait for each other, those about others need not.
      const ends = records.map((record) => {
        const [, path = '', code = ''] = /(\S+) (\d{3}) \S+ \S+ \S+$/.exec(textOf(record)) ?? [];
        return [path, record.headers['sum'], record.headers['parts'], code].join(' ');
      });
      const due = messages.map(({ body, headers }, at) =>
        [body.split(' ')[2], headers?.['sum'], headers?.['parts'], wanted[at]].join(' '),
      );
      expect(ends.toSorted()).toEqual(due.toSorted());
      const passed = messages.filter((_, at) => wanted[at] === '201');
      const sent = posts.map(({ topic, body, headers }) => ({ topic, body: textOf({ body }), headers }));
      expect(sorted(sent)).toEqual(sorted(passed));
    } finally {
      lab.remove();
    }
  });
});
