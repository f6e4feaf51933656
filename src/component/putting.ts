import { dirname, posix, resolve } from 'node:path';
import type { Config } from '../config/config.js';
import type { OptionName } from '../config/options/index.js';
import { FatalError } from '../errors.js';
import type { Described, Ready } from '../flow/posted.js';
import type { Stage } from '../flow/stage.js';
import { upload } from '../stage/post/upload.js';
import type { Kit } from './component.js';
import { refuseWritten } from './refuse.js';

/* Files are sent to a server before they are announced: from behind a firewall to a pump, which reads its own disk. */

/** Where files go, and what is said of where they are. */
export interface Putting {
  /** The path that is announced for a file of this machine. */
  readonly announced: (path: string) => string;
  readonly upload: Stage<Described, Pick<Ready, 'subject' | 'next'>>;
}

/** What only counts where files are sent. */
const ofSending: readonly OptionName[] = ['attempts', 'timeout', 'kbytes_ps', 'ssh_host_key'];

/** What cannot be done together with it. */
const againstSending: Readonly<Partial<Record<OptionName, string>>> = {
  move: 'files are sent, not renamed, where there is a destination',
  sleep: 'files are sent when they are complete: none is followed where there is a destination',
  blocksize: 'files are sent as a whole where there is a destination',
  parts: 'files are sent as a whole where there is a destination',
  suppress_duplicates: 'what has been sent is announced: whoever takes it away says what is new',
};

/** Undefined where files stay where they are. Throws FatalError for a destination that cannot be announced. */
export function puttingOf(config: Config, kit: Kit): Putting | undefined {
  const { destination, preserveTime, chmodDir } = config.transfer;
  if (destination === undefined) {
    for (const option of ofSending)
      refuseWritten(config, option, 'counts where files are sent: destination says where');
    return undefined;
  }
  for (const [option, why] of Object.entries(againstSending) as [OptionName, string][])
    refuseWritten(config, option, why);
  const relative = relativeOf(config);
  const { site, directory } = placeOf(destination, kit.destination());
  return {
    announced: announcedBelow(config, directory, relative),
    upload: upload(kit.transports(), {
      destination: site,
      placeOf: (path) => posix.join(directory ?? '', relative(path)),
      sum: config.posting.sum,
      attempts: config.queue.attempts,
      preserveTime,
      directoryMode: chmodDir,
      followLinks: config.posting.followSymlinks,
      now: kit.now,
    }),
  };
}

/** The server, and the directory there; without one, the server's URL says it and nobody else knows it. */
function placeOf(destination: string, known: string): { site: string; directory: string | undefined } {
  const { protocol, pathname } = new URL(destination);
  if (protocol === 'http:' || protocol === 'https:') return { site: known, directory: undefined };
  const directory = posix.normalize(`/${decodeURIComponent(pathname)}`).replace(/(?<=.)\/+$/u, '');
  if (protocol === 'file:') return { site: 'file:', directory };
  const site = new URL(known);
  site.pathname = '/';
  return { site: site.href, directory };
}

/**
 * The path of a file below the directory that it is sent to. As with other programs that copy: a directory comes with its
 * name, or, written with a slash at its end, without.
 */
function relativeOf({ posting }: Config): (path: string) => string {
  const tops = posting.path.map((written) => {
    const top = resolve(written);
    return { top, base: /(?:^|\/)\.{0,2}$/u.test(written) ? top : dirname(top) };
  });
  const usual = resolve(posting.postBaseDir ?? '.');
  const all = [...tops.sort((a, b) => b.top.length - a.top.length), { top: usual, base: usual }];
  return (path) => {
    const found = all.find(({ top }) => path === top || path.startsWith(top === '/' ? top : `${top}/`));
    return posix.relative(found?.base ?? dirname(path), path);
  };
}

/** As others find it: on the disk of the pump, or below a URL. */
function announcedBelow(
  { posting }: Config,
  directory: string | undefined,
  relative: (path: string) => string,
): (path: string) => string {
  const [base = 'file:'] = posting.postBaseUrl;
  if (base.startsWith('file:')) {
    const front = base.slice('file:'.length);
    if (directory === undefined && /^\/*$/u.test(front)) {
      const remedy =
        'post_base_url file:/DIRECTORY says it, or post_base_url names the URL under which they are had';
      throw new FatalError(`nobody knows where on its disk this web server keeps what it takes: ${remedy}`, {
        exitCode: 2,
      });
    }
    return (path) => posix.join('/', front, directory ?? '', relative(path));
  }
  const root = posting.postBaseDir?.replace(/\/+$/u, '') ?? '';
  return (path) => {
    const place = posix.join('/', directory ?? '', relative(path));
    return root !== '' && place.startsWith(`${root}/`) ? place.slice(root.length) : place;
  };
}
