import { createRequire } from 'node:module';
import type * as undici from 'undici';

type Library = typeof undici;

const load = createRequire(import.meta.url);

/** A part of the library, or where it is not found by itself, all of the library for it. */
function part<Name extends 'Pool' | 'buildConnector'>(name: Name, path: string): Library[Name] {
  try {
    return load(`undici/lib/${path}`) as Library[Name];
  } catch {
    return (load('undici') as Library)[name];
  }
}

/**
 * What fetching needs of the HTTP library. All of it (a browser's fetch, web sockets, caches, ...) costs every program
 * that starts 60 ms of processor time and 9 MiB.
 */
export const webClient = {
  Pool: part('Pool', 'dispatcher/pool.js'),
  buildConnector: part('buildConnector', 'core/connect.js'),
};
