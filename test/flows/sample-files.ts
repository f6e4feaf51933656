/** Makes captured messages usable: the files they announce, and the base URL of a server that has them. */
import { createHash, randomBytes } from 'node:crypto';
import { type Sample, samples as captured } from '../message/vectors.js';

/** A captured message together with the file behind it. */
export interface PreparedSample {
  /** Position among all that were captured. */
  readonly number: number;
  readonly label: string;
  readonly exchange: string;
  readonly topic: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly properties: CapturedProperties;
  /** Path below the server's root, decoded; undefined when the body cannot be taken apart. */
  readonly path: string | undefined;
  /** What the server has there; undefined where no data is announced. */
  readonly content: Buffer | undefined;
  /** Of a block: where its bytes belong in their file. */
  readonly block: { readonly offset: number; readonly bytes: Buffer } | undefined;
}

interface CapturedProperties {
  readonly content_type: string;
  readonly content_encoding: string;
  readonly delivery_mode: number;
}

type CapturedSample = Sample & { readonly exchange: string; readonly properties: CapturedProperties };

export const samples = captured as unknown as readonly CapturedSample[];

export const isRecord = ({ label }: { readonly label: string }): boolean => label.startsWith('v2py-report');

/** Contents of the files whose bytes are known. */
const known = ['', 'x', 'f\n', 'one\n', 'one\ntwo\n', 'one part file\n'].map((text) => Buffer.from(text));

const digest = (algorithm: 'md5' | 'sha512', content: Buffer): Buffer =>
  createHash(algorithm).update(content).digest();

/** What a message says about its file, read without any of the code under test. */
interface Announced {
  readonly path: string;
  readonly size: number | undefined;
  readonly algorithm: 'md5' | 'sha512' | undefined;
  /** The sum as it stands in the message. */
  readonly value: string;
  /** Of a block: `size` is that of the whole file. */
  readonly block?: { readonly offset: number; readonly length: number; readonly isFile: boolean };
}

const decoded = (path: string): string =>
  path.replace(/^\/+/u, '').replaceAll('%20', ' ').replaceAll('%23', '#');

function announcedInHeaders(body: string, headers: Readonly<Record<string, string>>): Announced {
  const path = decoded(body.replace(/^\S+ \S+ /u, '').replace(/ \n$/u, ''));
  const [letter = '', value = ''] = (headers['sum'] ?? '').split(',');
  const [method, size] = (headers['parts'] ?? '').split(',');
  const isFile = method === '1' && letter !== 'L' && letter !== 'R';
  return {
    path,
    size: isFile ? Number(size) : undefined,
    ...(method === 'i' || method === 'p' ? blockInHeader(headers['parts'] ?? '') : {}),
    algorithm: letter === 'd' ? 'md5' : letter === 's' ? 'sha512' : undefined,
    value,
  };
}

function blockInHeader(parts: string): Pick<Announced, 'size' | 'block'> {
  const [method, ...numbers] = parts.split(',');
  const [size = 0, count = 0, rest = 0, number = 0] = numbers.map(Number);
  const last = rest === 0 ? size : rest;
  const length = number === count - 1 ? last : size;
  return {
    size: (count - 1) * size + last,
    block: { offset: number * size, length, isFile: method === 'p' },
  };
}

interface Blocks {
  readonly size: number;
  readonly number: number;
  readonly manifest: Readonly<Record<string, { readonly size: number; readonly identity: string }>>;
}

interface Members {
  readonly relPath: string;
  readonly size?: number | string;
  readonly identity?: { readonly method: string; readonly value: string } | string;
  readonly blocks?: Blocks;
}

function announcedInBody(body: string): Announced | undefined {
  let members: Members;
  try {
    members = JSON.parse(body) as Members;
  } catch {
    return undefined;
  }
  const { relPath, size, identity, blocks } = members;
  if (blocks !== undefined) {
    const { size: length = 0, identity: value = '' } = blocks.manifest[String(blocks.number)] ?? {};
    const total = Object.values(blocks.manifest).reduce((sum, { size: one }) => sum + one, 0);
    const block = { offset: blocks.number * blocks.size, length, isFile: false };
    return { path: decoded(relPath), size: total, algorithm: 'sha512', value, block };
  }
  const sum = typeof identity === 'object' ? identity : { method: '', value: '' };
  return {
    path: decoded(relPath),
    size: size === undefined ? undefined : Number(size),
    algorithm: sum.method === 'md5' ? 'md5' : sum.method === 'sha512' ? 'sha512' : undefined,
    value: sum.value,
  };
}

/** Bytes of the announced size, and of the announced sum where bytes are known that have it. */
function contentFor({ size, algorithm, value }: Announced): Buffer | undefined {
  if (size === undefined) return undefined;
  const fitting = known.find((content) => {
    if (content.length !== size) return false;
    if (algorithm === undefined) return true;
    const sum = digest(algorithm, content);
    return sum.toString('hex') === value || sum.toString('base64') === value.replace(/\s/gu, '');
  });
  return fitting ?? randomBytes(size);
}

/** The message as captured, but for the server's port, and for the sum of a file whose bytes nobody has. */
export function prepare(number: number, port: number): PreparedSample {
  const sample = samples[number];
  if (sample === undefined) throw new Error(`there is no sample ${number}`);
  const given = sample.headers ?? {};
  const isJson = sample.properties.content_type === 'application/json';
  const announced = isJson ? announcedInBody(sample.body) : announcedInHeaders(sample.body, given);
  const whole = announced === undefined ? undefined : contentFor(announced);
  const block = announced?.block;
  const content = block === undefined ? whole : whole?.subarray(block.offset, block.offset + block.length);
  let body = sample.body.replaceAll('//127.0.0.1:8090/', `//127.0.0.1:${port}/`);
  let headers: Readonly<Record<string, string>> = given;
  if (content !== undefined && announced?.algorithm !== undefined) {
    const sum = digest(announced.algorithm, content);
    if (isJson) {
      const written = JSON.stringify(announced.value).slice(1, -1);
      if (sum.toString('base64') !== announced.value.replace(/\s/gu, '')) {
        body = body.replaceAll(written, sum.toString('base64'));
      }
    } else headers = { ...given, sum: `${given['sum']?.charAt(0) ?? ''},${sum.toString('hex')}` };
  }
  const { label, exchange, topic, properties } = sample;
  return {
    number,
    label,
    exchange,
    topic,
    body,
    headers,
    properties,
    path: announced?.path,
    content: block?.isFile === false ? whole : content,
    block: block && content && { offset: block.offset, bytes: content },
  };
}
