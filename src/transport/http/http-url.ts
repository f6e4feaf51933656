import { PermanentError } from '../../errors.js';

/**
 * The URL of a file: base and path joined by one slash, each element of the path percent-encoded (the format, forming
 * the retrieval URL). Throws PermanentError 417 for a path that no URL can carry or that climbs above the base.
 */
export function retrievalUrl(base: string, path: string): URL {
  const elements = path.replace(/^\/+/u, '').split('/');
  if (elements.includes('..') || /\p{Cs}|\0/u.test(path)) {
    throw new PermanentError(417, `path ${JSON.stringify(path.slice(0, 300))} cannot be asked for`);
  }
  try {
    const url = new URL(`${base.replace(/\/+$/u, '')}/${elements.map(encodeURIComponent).join('/')}`);
    // Each of these would have the URL put together anew.
    if (url.username !== '') url.username = '';
    if (url.password !== '') url.password = '';
    if (url.hash !== '') url.hash = '';
    return url;
  } catch (error) {
    throw new PermanentError(417, 'the base URL is not a URL', { cause: error });
  }
}

/**
 * Where a file is put: as `retrievalUrl`, with what stands behind a question mark of the base (a signature, a token) at
 * the end of it.
 */
export function uploadUrl(base: string, path: string): URL {
  const [bare = '', query] = base.split(/\?(.*)/su, 2);
  const url = retrievalUrl(bare, path);
  if (query !== undefined) url.search = query;
  return url;
}
