import { readFileSync } from 'node:fs';
import { lookup, lookupService } from 'node:dns/promises';
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { systemCode } from '../../errors.js';

/** What a program finds when it starts. Everything below is given this, so that nothing else asks the machine. */
export interface Host {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  readonly cwd: string;
  readonly platform: NodeJS.Platform;
  /** Fully qualified, as far as this machine knows. */
  readonly name: string;
  /** Of this package. */
  readonly version: string;
  /** Undefined on systems without user ids. */
  readonly uid: number | undefined;
}

/** Milliseconds that the name service may take to tell the full name of this host. */
const NAME_LIMIT = 500;

/** The machine and the user that this process runs on and as. */
export async function findHost(): Promise<Host> {
  return {
    environment: process.env,
    home: homedir(),
    cwd: process.cwd(),
    platform: process.platform,
    name: await fullName(hostname()),
    version: packageVersion(),
    uid: process.getuid?.(),
  };
}

/** The version in package.json, two directories up from here, compiled or not. */
export function packageVersion(): string {
  const file = join(import.meta.dirname, '../../../package.json');
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return version;
}

async function fullName(short: string): Promise<string> {
  if (short.includes('.')) return short;
  const listed = nameInHosts(hostsFile(), short);
  if (listed !== undefined) return listed;
  const late = new Promise<string>((resolve) => setTimeout(() => resolve(short), NAME_LIMIT).unref());
  return Promise.race([nameByService(short), late]);
}

async function nameByService(short: string): Promise<string> {
  try {
    const { address } = await lookup(short);
    const { hostname: found } = await lookupService(address, 0);
    return found.startsWith(`${short}.`) ? found : short;
  } catch (thrown) {
    // Unknown to the name service: the short name is all there is.
    if (systemCode(thrown) === undefined) throw thrown;
    return short;
  }
}

function hostsFile(): string {
  try {
    return readFileSync('/etc/hosts', 'utf8');
  } catch (thrown) {
    // Absent, or not for us: other systems keep it elsewhere.
    if (systemCode(thrown) === undefined) throw thrown;
    return '';
  }
}

/** The full name on the line that names `short`; the short one when its line has no other; undefined without line. */
export function nameInHosts(text: string, short: string): string | undefined {
  for (const line of text.split('\n')) {
    const [, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (!names.some((name) => name === short || name.startsWith(`${short}.`))) continue;
    return names.find((name) => name.startsWith(`${short}.`)) ?? short;
  }
  return undefined;
}
