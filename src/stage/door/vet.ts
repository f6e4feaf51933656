import { PermanentError } from '../../errors.js';
import type { Received } from '../../flow/item.js';
import { type Stage, pass } from '../../flow/stage.js';
import { climbs } from '../../message/rel-path.js';
import { fetchPath, schemeOf } from '../../message/retrieval-url.js';

export interface VetOptions {
  /** Below this directory files of this machine may be announced; undefined: nowhere. */
  readonly dropDir: string | undefined;
  /** Without a directory they may be announced wherever they are: whoever reads this has chosen where it comes from. */
  readonly anyFile?: boolean;
  /** Hosts that files may be on: names, `.example.org` for all below it, `any`; none says nothing. */
  readonly hosts: readonly string[];
  /** Bytes of a block, at least and at most; 0 for no limit. */
  readonly blockSizeMin: number;
  readonly blockSizeMax: number;
}

/** Every host is meant. Whoever writes it has looked at none. */
export const ANY_HOST = 'any';

/** Looks at an announcement before anything is fetched because of it. What the pump does not want is refused (403). */
export function vet(options: VetOptions): Stage<Received> {
  const hosts = options.hosts.map((host) => host.toLowerCase());
  return {
    name: 'vet',
    isLight: true,
    run: ({ subject }) => {
      if (schemeOf(subject.baseUrl) === 'file') requireDropped(subject.baseUrl, subject.relPath, options);
      else if (hosts.length > 0) requireHost(subject.baseUrl, hosts);
      const { change } = subject;
      if (change.kind === 'write' && change.parts !== undefined && change.parts.method !== '1')
        requireBlockSize(change.parts.blockSize, options);
      return pass;
    },
  };
}

function requireDropped(baseUrl: string, relPath: string, { dropDir, anyFile }: VetOptions): void {
  const path = fetchPath(baseUrl, relPath);
  if (dropDir === undefined) {
    if (anyFile === true) return;
    throw forbidden(`${path} would be a file of this machine, and no drop_dir allows any`);
  }
  if (belowDirectory(path, dropDir) === undefined) throw forbidden(`${path} is not below ${dropDir}`);
}

/** The path relative to a directory above it; undefined when it is not below. */
export function belowDirectory(path: string, directory: string): string | undefined {
  const prefix = directory.endsWith('/') ? directory : `${directory}/`;
  if (!path.startsWith(prefix) || climbs(path)) return undefined;
  const relative = path.slice(prefix.length);
  return relative === '' ? undefined : relative;
}

/** Whether the host of a base URL is one of these (in lower case), or below one that begins with a dot. */
export function isNamed(baseUrl: string, hosts: readonly string[]): boolean {
  const { host, name } = hostOf(baseUrl);
  return hosts.some((one) => one === host || one === name || (one.startsWith('.') && name.endsWith(one)));
}

function requireHost(baseUrl: string, hosts: readonly string[]): void {
  if (hosts.includes(ANY_HOST) || isNamed(baseUrl, hosts)) return;
  throw forbidden(`${hostOf(baseUrl).host} is not one of source_hosts`);
}

/** Host with its port, and without; lower case. */
function hostOf(baseUrl: string): { readonly host: string; readonly name: string } {
  const authority = /^[^:]*:\/\/([^/?#]*)/u.exec(baseUrl)?.[1] ?? '';
  const host = authority.slice(authority.lastIndexOf('@') + 1).toLowerCase();
  return { host, name: host.replace(/:\d*$/u, '').replace(/\.$/u, '') };
}

function requireBlockSize(size: number, { blockSizeMin, blockSizeMax }: VetOptions): void {
  if (size < blockSizeMin) throw forbidden(`blocks of ${size} bytes, block_size_min is ${blockSizeMin}`);
  if (blockSizeMax > 0 && size > blockSizeMax)
    throw forbidden(`blocks of ${size} bytes, block_size_max is ${blockSizeMax}`);
}

const forbidden = (why: string): PermanentError => new PermanentError(403, `Forbidden: ${why}`);
