import { createRequire } from 'node:module';
import * as library from 'undici';
import { describe, expect, it } from 'vitest';
import { webClient } from '../../../src/transport/http/web-client.js';

describe('webClient', () => {
  it('is what the library itself gives', () => {
    expect(webClient.Pool).toBe(library.Pool);
    expect(webClient.buildConnector).toBe(library.buildConnector);
  });

  it('has parts that the library still keeps where they are looked for', () => {
    const load = createRequire(import.meta.url);
    expect(load('undici/lib/dispatcher/pool.js')).toBe(library.Pool);
    expect(load('undici/lib/core/connect.js')).toBe(library.buildConnector);
  });
});
