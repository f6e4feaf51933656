import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Vector, type WrittenMessage, vectorsOf } from '../message/vectors.js';
import { type Lab, type Ran, openLab } from '../options/lab.js';
import { type Site, type Sites, openSites } from '../servers/sites.js';

/*
 * What the existing pumps did with messages from their users and from each other. Ours does the same, but sends one
 * record for each message, believes no message about its origin, and refuses from users what differs from its sum.
 */

const letters = 'abcdefghijklmnopqrstuvwxyz';

interface Ours {
  /** Codes of the records. */
  readonly codes: readonly number[];
  /** Instead of what the original announced: nothing, or with these headers. */
  readonly posted?: false | Readonly<Record<string, string>>;
  readonly exchange?: string;
}

/** Vectors of files in blocks belong to a version that assembles them. */
const ours: Readonly<Record<string, Ours>> = {
  // The original believed from_cluster.
  G01: { codes: [201], posted: { from_cluster: 'CLB' } },
  G02: { codes: [] },
  G03: { codes: [201], posted: { from_cluster: 'CLB' } },
  G04: { codes: [403] },
  G05: { codes: [201] },
  G06: { codes: [403] },
  G09: { codes: [499], posted: false },
  G10: { codes: [201], posted: { from_cluster: 'CLB' } },
  R14: { codes: [201] },
  R15: { codes: [201] },
  // The originals gave it to alice, and let a forged source through.
  R16: { codes: [403], posted: false },
  R17: { codes: [403], posted: false, exchange: 'xs_mallory' },
};

interface Input {
  readonly messages: readonly WrittenMessage[];
  readonly options: Readonly<Record<string, string>>;
  readonly component: string;
  readonly exchange: string;
}
interface Output {
  readonly posts?: readonly WrittenMessage[];
  readonly files?: Readonly<Record<string, string>>;
}

let sites: Sites;
let site: Site;
beforeAll(async () => {
  sites = openSites();
  site = await sites.open(() => Buffer.from(letters));
});
afterAll(() => sites.stop());

const today = (): string => new Date().toISOString().slice(0, 10).replaceAll('-', '');

function run(lab: Lab, { id, input }: Vector): Promise<Ran> {
  const { messages, options, component, exchange } = input as unknown as Input;
  const from = ours[id]?.exchange ?? exchange;
  const routes = component.startsWith('2016')
    ? ['cluster_aliases clb.example.com', 'gateway_for CLC', `document_root ${lab.target}`]
    : [`post_base_dir ${lab.target}`];
  const lines = [
    // What the lab sets for others.
    ...(component.startsWith('2016') ? ['directory none'] : []),
    `mirror ${options['mirror'] ?? 'on'}`,
    `exchange ${from}`,
    'declare source alice',
    'cluster CLB',
    'source_from_exchange on',
    'source_hosts 127.0.0.1',
    `post_exchange ${options['post_exchange'] ?? ''}`,
    `post_base_url ${options['post_base_url'] ?? options['url'] ?? ''}`,
    ...routes,
  ];
  const here = messages.map((message) => ({
    ...message,
    headers: message.headers ?? {},
    body: message.body.replace('http://localhost:8000/', site.url),
    exchange: from,
  }));
  return lab.run('sarra', lines, { messages: here });
}

const wanted = [...vectorsOf('route'), ...vectorsOf('validate')].filter(({ id }) => Object.hasOwn(ours, id));

it('are all there', () => {
  expect(wanted.map(({ id }) => id).sort()).toEqual(Object.keys(ours).sort());
});

describe.each(wanted.map((vector) => [vector.id, vector] as const))('%s', (id, vector) => {
  it(vector.note ?? 'is handled', async () => {
    const lab = openLab();
    try {
      const ran = await run(lab, vector);
      const { codes, posted } = ours[id] ?? { codes: [] };
      const output = vector.output as Output;
      expect(
        ran.records.map(({ body }) =>
          Number(/ (\d{3}) \S+ ann \S+$/u.exec(Buffer.from(body).toString())?.[1]),
        ),
      ).toEqual(codes);
      const day = (text: string): string => text.replaceAll('<YYYYMMDD>', today());
      // Ours end in the directory, and begin with a slash.
      const bodyAsOurs = (body: string): string => day(body).replace(/ ([^/ ]\S*)$/u, ' /$1');
      const posts = posted === false ? [] : (output.posts ?? []);
      expect(ran.posts.map(({ body }) => Buffer.from(body).toString())).toEqual(
        posts.map(({ body }) => bodyAsOurs(body)),
      );
      for (const [index, { headers }] of posts.entries()) {
        expect(ran.posts[index]?.exchange).toBe('xout');
        // A mark that the posters of 2016 put on the name again.
        const kept = Object.fromEntries(
          Object.entries(headers ?? {}).filter(([name]) => name !== 'filename'),
        );
        expect(ran.posts[index]?.headers).toMatchObject({ ...kept, ...(posted === false ? {} : posted) });
      }
      for (const [path, content] of Object.entries(output.files ?? {})) {
        const file = join(lab.target, day(path));
        if (posted === false) expect(existsSync(file)).toBe(false);
        else expect(readFileSync(file, 'utf8')).toBe(content);
      }
      for (const { headers } of ran.records) expect(['CLB']).toContain(headers['from_cluster']);
    } finally {
      lab.remove();
    }
  });
});
