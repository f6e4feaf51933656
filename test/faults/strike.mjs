/*
 * Loaded into a program by --import. Counts what the program does to the outside world (files, the store, sockets),
 * beginning when it first sees the text STRIKE_MARK, and strikes just before the STRIKE_AT-th of these steps:
 * STRIKE_HOW=kill ends the process there, as kill -9 does, and STRIKE_HOW=fail lets that one step fail. Writing a
 * whole file is two steps: before the second, half of the file is there.
 */
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { ClassicLevel } from 'classic-level';

const at = Number(process.env.STRIKE_AT);
const how = process.env.STRIKE_HOW;
const mark = process.env.STRIKE_MARK ?? '';
let isArmed = mark === '';
let steps = 0;

/** Whether this step is the one; never returns when the process is to die there. */
function isStruck(name, leave = () => undefined) {
  if (!isArmed) return false;
  steps += 1;
  if (steps !== at) return false;
  leave();
  process._rawDebug(`STRUCK before step ${steps}: ${name}`);
  if (how === 'kill') process.kill(process.pid, 'SIGKILL');
  return true;
}

const failure = (code, name) => Object.assign(new Error(`${code}: struck, ${name}`), { code, syscall: name });

/** What a call is about, for the message that names the step. */
const shown = (words) =>
  words
    .filter((word) => typeof word === 'string')
    .map((word) => word.split('/').slice(-2).join('/'))
    .join(' ');

const isWriting = (flags) =>
  typeof flags === 'number'
    ? (flags & (fs.constants.O_CREAT | fs.constants.O_TRUNC)) !== 0
    : typeof flags === 'string' && /[wa+]/.test(flags);

/** Standard streams are for people. */
const isForPeople = (name, [first]) =>
  /^(?:f?write|fsync|fdatasync)/.test(name) && typeof first === 'number' && first <= 2;

const changing = [
  [
    'open',
    'write',
    'writev',
    'writeFile',
    'appendFile',
    'ftruncate',
    'truncate',
    'rename',
    'unlink',
    'rm',
    'rmdir',
  ],
  [
    'mkdir',
    'link',
    'symlink',
    'copyFile',
    'futimes',
    'utimes',
    'lutimes',
    'fchmod',
    'chmod',
    'fsync',
    'fdatasync',
  ],
].flat();

const counts = (name, words) =>
  !isForPeople(name, words) && (!name.startsWith('open') || isWriting(words[1]));

const { writeFileSync } = fs;
const isTorn = (name, words) =>
  name === 'writeFile' &&
  isStruck(`half of ${name} ${shown(words)}`, () => {
    const [path, data, options] = words;
    writeFileSync(path, data.slice(0, data.length / 2), options);
  });

for (const name of changing) {
  const sync = `${name}Sync`;
  const originalSync = fs[sync];
  fs[sync] = (...words) => {
    if (counts(sync, words) && isStruck(`${sync} ${shown(words)}`)) throw failure('EIO', sync);
    return originalSync(...words);
  };
  const original = fs[name];
  fs[name] = (...words) => {
    if (!counts(name, words) || !isStruck(`${name} ${shown(words)}`)) return original(...words);
    process.nextTick(words.at(-1), failure('EIO', name));
    return undefined;
  };
  const promised = fsp[name];
  if (promised === undefined) continue;
  fsp[name] = async (...words) => {
    if (counts(name, words) && (isStruck(`${name} ${shown(words)}`) || isTorn(name, words)))
      throw failure('EIO', name);
    return promised(...words);
  };
}
syncBuiltinESMExports();

const has = (data) => mark !== '' && Buffer.isBuffer(data) && data.includes(mark);

const { push, _writeGeneric: send } = net.Socket.prototype;
net.Socket.prototype.push = function received(data, ...others) {
  if (has(data)) isArmed = true;
  return push.call(this, data, ...others);
};
net.Socket.prototype._writeGeneric = function sent(many, data, encoding, done) {
  if (!isStruck('socket write')) return send.call(this, many, data, encoding, done);
  const error = failure('ECONNRESET', 'write');
  this.destroy(error);
  done(error);
  return undefined;
};

const { _batch: batch, getSync } = ClassicLevel.prototype;
ClassicLevel.prototype._batch = async function written(operations, options) {
  if (isStruck(`store batch of ${operations.length}`)) throw failure('LEVEL_IO_ERROR', 'batch');
  return batch.call(this, operations, options);
};
ClassicLevel.prototype.getSync = function read(...words) {
  const found = getSync.apply(this, words);
  if (has(found)) isArmed = true;
  return found;
};
