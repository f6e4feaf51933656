import { join } from 'node:path';
import ssh2, { type AnyAuthMethod, type AuthenticationType, type ParsedKey } from 'ssh2';
import type { Site } from '../transport.js';
import type { HostKeys } from './host-key.js';
import { readPrivateKey, tryPrivateKey } from './private-key.js';
import { readSshConfig } from './ssh-config.js';

/** What belongs to the user that this process runs as. */
export interface SshSurroundings {
  /** `.ssh` is below it. */
  readonly home: string;
  /** Who logs in where nobody is named. */
  readonly user: string;
  /** Socket of an ssh agent. */
  readonly agent?: string | undefined;
  /** What is done about servers whose key is not known. */
  readonly hostKeys: HostKeys;
  /** Requests under way to one server, at most. */
  readonly requests: number;
}

/** One way to say who we are. */
export type Method = AnyAuthMethod | { type: 'publickey'; username: string; key: ParsedKey };

/** Where a site is, who we are there, and how its key is known. */
export interface Account {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly methods: readonly Method[];
  /** In words, for messages. */
  readonly ways: readonly string[];
  readonly hostKeys: HostKeys;
  readonly knownHostsFiles: readonly string[];
  readonly hostKeyAlias: string | undefined;
}

const keyNames = ['id_ed25519', 'id_ecdsa', 'id_rsa'];

/** Keys that are shown to a server one after the other; most end the login after six. */
const mostKeys = 5;

/** The part of a URL that says who and where, decoded. */
export interface Authority {
  readonly host: string;
  readonly port: number | undefined;
  readonly user: string | undefined;
}

/** Throws TypeError for what is no URL with a host. */
export function authorityOf(url: string): Authority {
  const { hostname, port, username } = new URL(url.replace(/^sftp:/iu, 'ssh:'));
  if (hostname === '') throw new TypeError('a URL without a host');
  return {
    host: decode(hostname)
      .replace(/^\[(.*)\]$/u, '$1')
      .toLowerCase(),
    port: port === '' ? undefined : Number(port),
    user: username === '' ? undefined : decode(username),
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}

/** Puts together what the URL, credentials.conf and `~/.ssh/config` say. Reads key files. */
export function accountOf({ url, credential }: Site, around: SshSurroundings): Account {
  const authority = authorityOf(url);
  const config = readSshConfig(authority.host, around.home);
  const user = credential?.user ?? authority.user ?? config.user ?? around.user;
  const agent = config.identityAgent ?? around.agent;
  const ways = waysOf({ url, credential }, user, {
    home: around.home,
    agent: agent === 'none' || agent === '' ? undefined : agent,
    identityFiles: config.identityFiles,
    identitiesOnly: config.identitiesOnly,
  });
  return {
    host: config.hostName ?? authority.host,
    port: authority.port ?? config.port ?? 22,
    user,
    methods: ways.map(({ method }) => method),
    ways: ways.map(({ words }) => words),
    hostKeys: hostKeysOf(around.hostKeys, config.strictHostKeyChecking),
    knownHostsFiles: config.knownHostsFiles ?? [
      join(around.home, '.ssh', 'known_hosts'),
      join(around.home, '.ssh', 'known_hosts2'),
    ],
    hostKeyAlias: config.hostKeyAlias,
  };
}

/**
 * Our own option decides, unless it is as strict as can be and the user's file says otherwise of one host. There, too,
 * `no` only means that new keys are taken: ssh itself gives no password to a server whose key is another than before.
 */
function hostKeysOf(own: HostKeys, configured: string | undefined): HostKeys {
  const takesNew = configured === 'accept-new' || configured === 'no' || configured === 'off';
  return own === 'strict' && takesNew ? 'accept-new' : own;
}

/** An agent that is not there has no keys: there may be other ways. */
class PatientAgent extends ssh2.OpenSSHAgent {
  override getIdentities: ssh2.OpenSSHAgent['getIdentities'] = (done) => {
    super.getIdentities((error, keys) => (error ? done(null, []) : done(error, keys)));
  };
}

interface Way {
  readonly method: Method;
  readonly words: string;
}

interface Keys {
  readonly home: string;
  readonly agent: string | undefined;
  readonly identityFiles: readonly string[];
  readonly identitiesOnly: boolean;
}

/** What credentials.conf names is used alone; without it, agent and keys as ssh does. */
function waysOf({ credential }: Site, username: string, keys: Keys): readonly Way[] {
  if (credential?.sshKeyfile !== undefined) {
    const key = readPrivateKey(credential.sshKeyfile, credential.sshPassphrase);
    return [{ method: { type: 'publickey', username, key }, words: `key ${credential.sshKeyfile}` }];
  }
  if (credential?.password !== undefined) return passwordWays(username, credential.password);
  const configured = keys.identityFiles.length > 0;
  const files = configured ? keys.identityFiles : keyNames.map((name) => join(keys.home, '.ssh', name));
  const fromFiles = files.slice(0, mostKeys).flatMap((path): readonly Way[] => {
    const key = tryPrivateKey(path);
    return key === undefined ? [] : [{ method: { type: 'publickey', username, key }, words: `key ${path}` }];
  });
  const { agent } = keys;
  if (agent === undefined || (keys.identitiesOnly && fromFiles.length > 0)) return fromFiles;
  const fromAgent: Way = {
    method: { type: 'agent', username, agent: new PatientAgent(agent) },
    words: 'the keys of ssh-agent',
  };
  return configured ? [...fromFiles, fromAgent] : [fromAgent, ...fromFiles];
}

function passwordWays(username: string, password: string): readonly Way[] {
  let isAnswered = false;
  return [
    { method: { type: 'password', username, password }, words: 'password' },
    {
      method: {
        type: 'keyboard-interactive',
        username,
        // Asked again it was wrong: it is not said twice, and never where it would be shown.
        prompt: (_name, _instructions, _language, prompts, finish) => {
          finish(prompts.map(({ echo }) => (isAnswered || echo === true ? '' : password)));
          isAnswered ||= prompts.length > 0;
        },
      },
      words: 'keyboard-interactive',
    },
  ];
}

/** The methods in their order, without those that the server does not want; false when none is left. */
export function nextMethod(
  methods: Method[],
  accepted: readonly AuthenticationType[] | null,
): Method | false {
  for (let method = methods.shift(); method !== undefined; method = methods.shift()) {
    const type = method.type === 'agent' ? 'publickey' : method.type;
    if (accepted === null || accepted.includes(type)) return method;
  }
  return false;
}
