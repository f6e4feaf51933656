import { decodeRelPath, hasForbiddenCharacter, nameOf, normalisePath } from './rel-path.js';

/** What `file:` announcements have for a base: the path is the relPath itself, made absolute. */
const FILE_BASE = /^file:\/*$/i;

/** Scheme of a base URL in lower case, or the empty text. */
export function schemeOf(baseUrl: string): string {
  const colon = baseUrl.indexOf(':');
  return colon <= 0 ? '' : baseUrl.slice(0, colon).toLowerCase();
}

/** Where the authority ends: the first `/`, `?` or `#` after `scheme://`. */
function authorityEnd(baseUrl: string, start: number): number {
  for (let index = start; index < baseUrl.length; index += 1) {
    const unit = baseUrl.charCodeAt(index);
    if (unit === 47 || unit === 63 || unit === 35) return index;
  }
  return baseUrl.length;
}

const isScheme = (scheme: string): boolean => /^[a-z][a-z0-9+.-]*$/.test(scheme);

/** Programs disagree about where a host ends when it holds one of these. */
const isHost = (host: string): boolean =>
  /^(?:\[[0-9a-f:.%]+\]|[^[\]:\\<>"^`{|}%@]+)(?::[0-9]{0,5})?$/i.test(host);

/**
 * What is wrong with a base URL, or undefined. It must be `file:`, or a scheme, a host, and perhaps a path; never
 * hold a password, a space or a control character. The answer does not repeat the URL: it may hold a secret.
 */
export function baseUrlProblem(baseUrl: string): string | undefined {
  if (baseUrl.includes(' ') || hasForbiddenCharacter(baseUrl)) return 'holds a space or a control character';
  // Some programs take it for a slash, and then another host than the one checked here is asked.
  if (baseUrl.includes('\\')) return 'holds a backslash';
  const scheme = schemeOf(baseUrl);
  if (scheme === 'file') return FILE_BASE.test(baseUrl) ? undefined : 'is a file URL with a path or a host';
  if (!isScheme(scheme) || !baseUrl.startsWith('://', scheme.length)) return 'is not an absolute URL';
  const start = scheme.length + 3;
  const authority = baseUrl.slice(start, authorityEnd(baseUrl, start));
  const at = authority.lastIndexOf('@');
  const colon = at < 0 ? -1 : authority.indexOf(':');
  if (colon >= 0 && colon < at - 1) return 'holds a password';
  if (!isHost(authority.slice(at + 1))) return 'has no usable host';
  return undefined;
}

/** The path part of a base URL with its leading `/`, or the empty text. */
function basePath(baseUrl: string): string {
  const start = baseUrl.indexOf('://');
  if (start < 0) return '';
  const path = baseUrl.slice(authorityEnd(baseUrl, start + 3));
  return trimSlashes(path);
}

function trimSlashes(text: string): string {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 47) end -= 1;
  return end === text.length ? text : text.slice(0, end);
}

function skipSlashes(text: string): string {
  let start = 0;
  while (start < text.length && text.charCodeAt(start) === 47) start += 1;
  return start === 0 ? text : text.slice(start);
}

/**
 * The text that accept and reject expressions see: base and path exactly as transmitted, and the Sundew extension
 * of older pumps where there is one and the path has none of its own.
 */
export function matchUrl(baseUrl: string, relPath: string, sundewExtension?: string): string {
  if (sundewExtension === undefined || sundewExtension === '' || relPath.includes(':'))
    return baseUrl + relPath;
  return `${baseUrl}${relPath}:${sundewExtension}`;
}

const UNPAIRED = /[\ud800-\udfff]/gu;

/** Encodes the path part of a URL: every character that is not one of a path element, and `+`, which some decode. */
const encodePath = (path: string): string =>
  encodeURI(path.replace(UNPAIRED, '\ufffd')).replace(/[?#+]/g, (character) => encodeURIComponent(character));

/**
 * The URL from which a file is had: one `/` between base and path; for http and https every element is properly
 * percent-encoded, for the others the path is decoded.
 */
export function retrievalUrl(baseUrl: string, relPath: string): string {
  const scheme = schemeOf(baseUrl);
  const path = skipSlashes(decodeRelPath(relPath));
  if (scheme === 'file') return `file:/${path}`;
  return `${trimSlashes(baseUrl)}/${scheme === 'http' || scheme === 'https' ? encodePath(path) : path}`;
}

/**
 * The decoded path to ask a session for that was opened on the base URL. A leading `/` means: from the root of what
 * the session serves; none means: relative to the login directory (sftp and ftp posts of 2016). For `file:` the path
 * is absolute on this machine; for http there is no leading `/`.
 */
export function fetchPath(baseUrl: string, relPath: string): string {
  const path = decodeRelPath(relPath);
  const scheme = schemeOf(baseUrl);
  if (scheme === 'file') return `/${normalisePath(path)}`;
  const fromRoot = (scheme === 'sftp' || scheme === 'ftp' || scheme === 'ftps') && path.startsWith('/');
  return fromRoot ? `/${skipSlashes(path)}` : skipSlashes(path);
}

/**
 * The path on the server with the base URL's own path in front: absolute with a leading `/`, relative to the login
 * directory without. The existing programs ignore the base URL's path for ftp, and so do we.
 */
export function remotePath(baseUrl: string, relPath: string): string {
  const scheme = schemeOf(baseUrl);
  const path = fetchPath(baseUrl, relPath);
  if (scheme === 'file' || scheme === 'ftp' || scheme === 'ftps') return path;
  const root = `/${normalisePath(basePath(baseUrl))}`;
  if (path.startsWith('/')) return root === '/' ? path : root + path;
  if (root === '/') return scheme === 'sftp' ? path : `/${path}`;
  return `${root}/${path}`;
}

/** The file name to show or to write for a relPath: decoded. */
export const fileNameOf = (relPath: string): string => nameOf(normalisePath(decodeRelPath(relPath)));
