/** Sending files to servers, beside what comes with them. */
import { appendFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startFtpd, type Ftpd } from '../../servers/ftpd.js';
import { startSshd, type Sshd } from '../../servers/sshd.js';
import { configuration } from '../arena.js';
import type { Arena } from '../arena.js';
import type { Case, Contender, Match } from '../compete.js';
import { putAway } from '../copying.js';
import type { Command, Cost } from '../measure.js';
import { hasRoom } from '../room.js';
import { makeDirectories, makeLargeTree, makeTree, verifyCopy } from '../trees.js';
import type { Tree } from '../trees.js';

const MIB = 1024 * 1024;

/** A server that takes files, and what a configuration says of it. */
interface Receiver {
  readonly lines: (target: string) => readonly string[];
  /** A line of credentials.conf. */
  readonly credentials?: string;
  readonly env: Readonly<Record<string, string>>;
  /** The directory in which everything arrives. */
  readonly root: string;
  readonly stop: () => Promise<void>;
}

/** Sends a tree into a fresh directory of the receiver, and checks it. */
async function sent(
  arena: Arena,
  tree: Tree,
  { root }: Receiver,
  command: (target: string) => Promise<Omit<Command, 'log'>>,
): Promise<Cost> {
  const target = join(root, 'target');
  await mkdir(target);
  const cost = await arena.measure(await command(target));
  await verifyCopy(target, tree);
  await putAway(arena, tree, target);
  return cost;
}

/** Takes part as `sr_sender --once`: the queue is filled beforehand, records are kept and counted. */
async function sender(arena: Arena, tree: Tree, receiver: Receiver): Promise<Contender> {
  const { admin, pump, web } = arena;
  const template = await arena.template('d', web.url);
  const [queue, records] = ['q_bob.bench', 'q_alice.records'];
  return {
    name: 'sr_sender',
    run: async () => {
      let home = '';
      await admin.queue(records, 'xs_bob', '#');
      const cost = await sent(arena, tree, receiver, async (target) => {
        const lines = [
          `broker ${pump.bob.brokerUrl}`,
          `queue_name ${queue}`,
          `base_dir ${tree.root}`,
          ...receiver.lines(target),
          'accept .*',
        ];
        home = await arena.home(pump.bob, lines, 'sender');
        if (receiver.credentials !== undefined)
          await appendFile(join(home, 'config/sarra/credentials.conf'), `${receiver.credentials}\n`);
        const program = (...words: string[]): Omit<Command, 'log'> => {
          const command = arena.program(home, 'sr_sender', words);
          return { ...command, env: { ...command.env, ...receiver.env } };
        };
        await arena.measure(program('setup', configuration));
        await admin.fill('xpublic', template, tree.entries);
        return program('--once', 'foreground', configuration);
      });
      const kept = await admin.depth(records);
      if (kept !== tree.entries.length) throw new Error(`${kept} records of ${tree.entries.length} posts`);
      await admin.drop(records);
      await admin.drop(queue);
      await rm(home, { recursive: true });
      return cost;
    },
  };
}

const sshReceiver = ({ url, root, home, stop }: Sshd): Receiver => ({
  lines: (target) => [`destination ${url}`, `directory ${target}`],
  env: { HOME: home },
  root,
  stop,
});

/** OpenSSH's own client, with a list of what it is to do. */
const batch = (arena: Arena, tree: Tree, receiver: Receiver, sshd: Sshd): Contender => ({
  name: 'sftp -b',
  run: () =>
    sent(arena, tree, receiver, async (target) => {
      const list = join(arena.directory, 'sftp.list');
      const puts = tree.entries.map(({ path }) => `put ${join(tree.root, path)} ${join(target, path)}\n`);
      await writeFile(list, puts.join(''));
      await makeDirectories(target, tree);
      const known = ['-o', `UserKnownHostsFile=${join(sshd.home, '.ssh/known_hosts')}`];
      const words = ['-q', '-b', list, ...known, '-i', sshd.keyFile, '-P', String(sshd.port)];
      return { program: 'sftp', words: [...words, `${sshd.user}@${sshd.host}`] };
    }),
});

async function bySftp(arena: Arena, make: (root: string) => Promise<Tree>): Promise<Match> {
  const sshd = await startSshd({ directory: arena.directory });
  const receiver = sshReceiver(sshd);
  const root = await arena.scratch('source');
  const tree = await make(root);
  return {
    units: tree.entries.length,
    unit: 'files',
    contenders: [await sender(arena, tree, receiver), batch(arena, tree, receiver, sshd)],
    close: async () => {
      await sshd.stop();
      await putAway(arena, tree, root);
    },
  };
}

export const sendSmallSftp: Case = {
  name: 'send-small-sftp',
  about: 'files of 1 KiB by sftp, sums verified, under a temporary name, records on, beside sftp -b',
  runs: 2,
  open: (arena) => bySftp(arena, (root) => makeTree(root, arena.sized(10_000), 1024)),
};

export const sendLargeSftp: Case = {
  name: 'send-large-sftp',
  about: 'a file of 1 GiB by sftp, its sum verified, beside sftp -b',
  runs: 2,
  open: async (arena) => {
    const size = arena.sized(1024) * MIB;
    if (!(await hasRoom(arena, 3 * size))) return undefined;
    const match = await bySftp(arena, (root) => makeLargeTree(root, 1, size));
    return { ...match, units: size / MIB, unit: 'MiB' };
  },
};

function ftpReceiver({ url, root, credential, stop }: Ftpd): Receiver {
  const { user = '', password = '' } = credential;
  return {
    lines: () => [`destination ${url.replace('//', `//${user}@`)}`, 'directory target'],
    credentials: url.replace('//', `//${user}:${password}@`),
    env: {},
    root,
    stop,
  };
}

/** The same files over one connection after the other, as many as curl has. */
const curlUpload = (arena: Arena, tree: Tree, receiver: Receiver, { url, credential }: Ftpd): Contender => ({
  name: 'curl -T',
  run: () =>
    sent(arena, tree, receiver, async () => {
      const list = join(arena.directory, 'curl-upload.conf');
      const lines = tree.entries.map(
        ({ path }) => `upload-file = "${join(tree.root, path)}"\nurl = "${url}target/${path}"\n`,
      );
      const login = `user = "${credential.user ?? ''}:${credential.password ?? ''}"\n`;
      await writeFile(list, login + lines.join(''), { mode: 0o600 });
      const words = ['--silent', '--show-error', '--ftp-create-dirs', '--parallel', '--parallel-max', '16'];
      return { program: 'curl', words: [...words, '--config', list] };
    }),
});

export const sendFtp: Case = {
  name: 'send-ftp',
  about: 'files of 1 KiB by ftp, sums verified, under a temporary name, records on, beside curl',
  runs: 2,
  open: async (arena) => {
    const ftpd = await startFtpd({ directory: arena.directory });
    const receiver = ftpReceiver(ftpd);
    const root = await arena.scratch('source');
    const tree = await makeTree(root, arena.sized(2000), 1024);
    return {
      units: tree.entries.length,
      unit: 'files',
      contenders: [await sender(arena, tree, receiver), curlUpload(arena, tree, receiver, ftpd)],
      close: async () => {
        await ftpd.stop();
        await putAway(arena, tree, root);
      },
    };
  },
};
