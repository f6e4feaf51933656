import { createInterface } from 'node:readline';
import { readTextFile } from '../../config/text-file.js';
import { FatalError } from '../../errors.js';
import { generatePassword } from '../../pump/passwords.js';
import type { Picture } from '../../pump/picture.js';
import type { PumpCall } from './pump-action.js';

const usage = (text: string): FatalError => new FatalError(`command line: ${text}`, { exitCode: 2 });

/**
 * The password that was given, from a file, standard input or the terminal; undefined when none was. One that is there
 * already, and only used to log in, may be as short as it is.
 */
export async function givenPassword(
  call: PumpCall,
  whose: string,
  use: 'to be set' | 'to log in' = 'to be set',
): Promise<string | undefined> {
  const checked = use === 'to be set' ? worthy : onOneLine;
  const file = call.flags.get('password_file');
  if (file !== undefined && call.flags.has('prompt'))
    throw usage('the password comes from --password_file or from --prompt, not from both');
  if (file !== undefined) return checked(firstLine(file === '-' ? await standardInput() : textOf(file)));
  if (!call.flags.has('prompt')) return undefined;
  return checked(await ask(`Password of ${whose}: `));
}

const firstLine = (text: string): string => text.split(/\r?\n/u, 1)[0] ?? '';

function textOf(file: string): string {
  const text = readTextFile(file);
  if (text === undefined) throw usage(`${file}: there is no such file to take the password from`);
  return text;
}

function worthy(password: string): string {
  if (password.length >= 8 && !/\p{Cc}/u.test(password)) return password;
  throw usage('a password has 8 characters or more, on one line');
}

function onOneLine(password: string): string {
  if (password !== '' && !/\p{Cc}/u.test(password)) return password;
  throw usage('a password is one line, and not empty');
}

async function standardInput(): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of process.stdin) pieces.push(Buffer.from(piece as Buffer));
  return Buffer.concat(pieces).toString('utf8');
}

/** What is typed is not shown. */
async function ask(question: string): Promise<string> {
  if (!process.stdin.isTTY)
    throw usage('--prompt asks at a terminal; give --password_file - to read standard input');
  process.stderr.write(question);
  const silent = createInterface({ input: process.stdin, terminal: true });
  try {
    return await new Promise<string>((resolve, reject) => {
      silent.once('line', resolve);
      silent.once('close', () => reject(usage('no password was typed')));
    });
  } finally {
    silent.close();
    process.stderr.write('\n');
  }
}

/** What somebody has to be told once. */
export interface Chosen {
  readonly password: string;
  readonly isNew: boolean;
}

/** The password given, else the one that is known, else a new one that nobody guesses. */
export const choosePassword = (given: string | undefined, known: string | undefined): Chosen =>
  given !== undefined
    ? { password: given, isNew: false }
    : known !== undefined
      ? { password: known, isNew: false }
      : { password: generatePassword(), isNew: true };

/** Nobody's password is replaced by one that was made up. Throws FatalError (1). */
export function refuseTakeOver(name: string, chosen: Chosen, picture: Picture, remedy: string): void {
  if (!chosen.isNew || !picture.users.some((user) => user.name === name)) return;
  throw new FatalError(`${name} is on the broker already, with a password that is not known here: ${remedy}`);
}

/** A new password is shown once, at a terminal and nowhere else. */
export function passwordNote(call: PumpCall, name: string, chosen: Chosen, file: string): readonly string[] {
  if (!chosen.isNew || call.dryRun) return [];
  const where = `it stands in ${file}`;
  return call.isTerminal && !call.json
    ? [`password of ${name}, shown this once: ${chosen.password} (${where})`]
    : [`${name} has a new password: ${where}`];
}
