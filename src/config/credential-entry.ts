import { conceal } from './conceal.js';
import { parseLogin, type Login } from './login.js';

/** An account on a data server, as the transports take it. Secrets do not show when it is printed. */
export interface SiteCredential {
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly bearerToken?: string | undefined;
  readonly sshKeyfile?: string | undefined;
  /** Of the key file: the password of the URL. */
  readonly sshPassphrase?: string | undefined;
  readonly passive?: boolean | undefined;
  readonly binary?: boolean | undefined;
  readonly tls?: boolean | undefined;
  readonly protP?: boolean | undefined;
  readonly implicitTls?: boolean | undefined;
}

export type LoginMethod = 'PLAIN' | 'AMQPLAIN' | 'EXTERNAL';

/** One line of a credentials file. */
export interface CredentialEntry {
  /** The URL as it stands in the file, with its password. */
  readonly written: string;
  readonly login: Login;
  readonly credential: SiteCredential;
  readonly loginMethod: LoginMethod;
}

/** What judging a line needs to know of the surroundings. */
export interface KeyFiles {
  /** What is wrong with a private key file; undefined when it can be used. */
  readonly keyFileProblem: (path: string) => string | undefined;
  /** Where `~/` of a key file leads. */
  readonly home: string;
}

interface Options {
  passive: boolean;
  binary: boolean;
  tls: boolean;
  protP: boolean;
  implicitTls: boolean;
  sshKeyfile?: string;
  bearerToken?: string;
  loginMethod: LoginMethod;
}

/** Changes what an option says; answers false when the value is no good. */
type Setting = (options: Options, value: string) => boolean;

const flag =
  (change: Partial<Options>): Setting =>
  (options) => {
    Object.assign(options, change);
    return true;
  };

const text =
  (name: 'sshKeyfile' | 'bearerToken'): Setting =>
  (options, value) => {
    if (value === '') return false;
    options[name] = value;
    return true;
  };

const methods: readonly LoginMethod[] = ['PLAIN', 'AMQPLAIN', 'EXTERNAL'];

const loginMethod: Setting = (options, value) => {
  const method = methods.find((one) => one === value.toUpperCase());
  if (method !== undefined) options.loginMethod = method;
  return method !== undefined || value.toLowerCase() === 'auto';
};

const settings: ReadonlyMap<string, Setting> = new Map([
  ['ssh_keyfile', text('sshKeyfile')],
  ['priv_key', text('sshKeyfile')],
  ['passive', flag({ passive: true })],
  ['active', flag({ passive: false })],
  ['binary', flag({ binary: true })],
  ['ascii', flag({ binary: false })],
  ['ssl', flag({ tls: true })],
  ['tls', flag({ tls: true })],
  ['prot_p', flag({ protP: true })],
  ['bearer_token', text('bearerToken')],
  ['bt', text('bearerToken')],
  ['login_method', loginMethod],
  ['implicit_ftps', flag({ tls: true, implicitTls: true })],
]);

function readOptions(words: string, login: Login, warnings: string[]): Options {
  const isSecure = login.scheme === 'ftps';
  const options: Options = {
    passive: true,
    binary: true,
    tls: isSecure,
    protP: isSecure,
    implicitTls: false,
    loginMethod: 'PLAIN',
  };
  for (const word of words.split(',')) {
    const [, name = '', value = ''] = /^\s*([^\s=]*)\s*(?:=\s*(.*?))?\s*$/s.exec(word) ?? [];
    if (name === '') continue;
    const setting = settings.get(name);
    if (setting === undefined) warnings.push(`unknown option ${shortened(name)} has no effect`);
    else if (!setting(options, value)) warnings.push(`option ${name} has no proper value and no effect`);
  }
  return options;
}

/** A misplaced secret must not reach the log: only what looks like a word is shown. */
const shortened = (name: string): string => (/^[a-z_]{1,20}$/i.test(name) ? name : '(not a word)');

/** What is missing from an entry; undefined when it can be used. */
function flaw({ scheme, user, password }: Login, options: Options): string | undefined {
  if (scheme === 'file') return undefined;
  if (user !== undefined && password !== undefined) return undefined;
  if (user === undefined && password === undefined) {
    return ['http', 'https', 'sftp'].includes(scheme) ? undefined : 'it names no user and password';
  }
  if (user === undefined) return 'it has a password without user';
  if (scheme === 'sftp' || (scheme.startsWith('amqp') && options.loginMethod === 'EXTERNAL'))
    return undefined;
  return 'it names a user without password';
}

function credentialOf(login: Login, options: Options): SiteCredential {
  const { user, password } = login;
  const { sshKeyfile, bearerToken, passive, binary, tls, protP, implicitTls } = options;
  const credential: SiteCredential = {
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : sshKeyfile === undefined ? { password } : { sshPassphrase: password }),
    ...(bearerToken === undefined ? {} : { bearerToken }),
    ...(sshKeyfile === undefined ? {} : { sshKeyfile }),
    ...(login.scheme.startsWith('ftp') ? { passive, binary, tls, protP, implicitTls } : {}),
  };
  return conceal(credential, ['password', 'sshPassphrase', 'bearerToken']);
}

/** Reads a line that is neither blank nor a comment. What is told of it never holds a secret. */
export function readEntry(
  line: string,
  keyFiles: KeyFiles,
): { readonly entry: CredentialEntry; readonly warnings: readonly string[] } | { readonly problem: string } {
  const [, written = '', words = ''] = /^(\S+)(?:\s+(.*))?$/s.exec(line) ?? [];
  const login = parseLogin(written);
  if (login === undefined) {
    return {
      problem: 'it is no URL; in user and password write : @ / # ? and % as % and two hexadecimal digits',
    };
  }
  const warnings: string[] = [];
  const options = readOptions(words, login, warnings);
  const problem = flaw(login, options);
  if (problem !== undefined) return { problem: `${login.scheme}: ${problem}` };
  if (options.sshKeyfile !== undefined) {
    options.sshKeyfile = options.sshKeyfile.replace(/^~(?=\/)/, () => keyFiles.home);
    const unusable = keyFiles.keyFileProblem(options.sshKeyfile);
    if (unusable !== undefined) return { problem: `key file ${options.sshKeyfile} ${unusable}` };
  }
  const entry = {
    written,
    login,
    credential: credentialOf(login, options),
    loginMethod: options.loginMethod,
  };
  return { entry, warnings };
}
