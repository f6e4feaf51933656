/** The parts of a URL as configurations write them: no decoding, nothing normalised. */
export interface UrlParts {
  readonly scheme: string;
  /** Still percent-encoded; undefined when the URL names nobody. */
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** Host and port as written. */
  readonly host: string;
  /** From the first slash after the host. */
  readonly rest: string;
}

const shape = /^([a-z][a-z0-9+.-]*):(?:\/\/(?:([^/?#]*)@)?([^/?#]*))?(.*)$/is;

/** Undefined when the text is no URL. A password may hold anything but `/`, `?` and `#`. */
export function parseUrl(text: string): UrlParts | undefined {
  const found = shape.exec(text);
  const scheme = found?.[1];
  if (found === null || scheme === undefined || /\s/.test(text)) return undefined;
  const login = found[2];
  const colon = login?.indexOf(':') ?? -1;
  return {
    scheme: scheme.toLowerCase(),
    user: login === undefined || login === '' ? undefined : colon < 0 ? login : login.slice(0, colon),
    password: login === undefined || colon < 0 ? undefined : login.slice(colon + 1),
    host: found[3] ?? '',
    rest: found[4] ?? '',
  };
}

const decodeOrKeep = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
};

/** The user of a URL, decoded; undefined when there is none. */
export function userOf(url: string | undefined): string | undefined {
  const user = url === undefined ? undefined : parseUrl(url)?.user;
  return user === undefined ? undefined : decodeOrKeep(user);
}

/** The host of a URL without its port; undefined when there is none. */
export function hostOf(url: string | undefined): string | undefined {
  const host = url === undefined ? undefined : parseUrl(url)?.host.replace(/:\d*$/, '');
  return host === '' ? undefined : host;
}

/** Text fit for a log: the passwords of all URLs in it are replaced by `***`. */
export const redact = (text: string): string =>
  text.replace(/([a-z][a-z0-9+.-]*:\/\/[^/\s:@]*):[^\s]*@/gi, '$1:***@');
