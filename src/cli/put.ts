import type { Arguments } from '../config/arguments.js';
import { commandLineOrigin } from '../config/reading/command-line.js';
import type { Directive } from '../config/syntax.js';
import { FatalError } from '../errors.js';

const schemes = /^(?:sftp|ftps?|https?|file):/iu;

/**
 * What `sr_put PATH... URL` means to the program that it is: the last word is where files are sent, the account there is
 * the one on the broker, and what is announced are files of the pump's own disk. Whatever is written as an option, or in a
 * configuration that is named, holds instead. Throws FatalError (2) for words that leave something out.
 */
export function putArguments(given: Arguments): Arguments {
  if (given.help || given.version || given.action !== 'foreground') return given;
  const paths = [...given.paths];
  const last = paths.at(-1);
  const destination = last !== undefined && schemes.test(last) ? paths.pop() : undefined;
  const isNamed = given.configuration !== undefined;
  const isSaid = (option: string): boolean => given.options.some(({ keyword }) => keyword === option);
  if (destination === undefined && !isNamed && !isSaid('destination')) {
    throw usage(
      'where to? The last word is a server and a directory there, such as sftp://alice@pump/data/drop',
    );
  }
  const stray = paths.find((path) => schemes.test(path));
  if (stray !== undefined) throw usage('only the last word may be a URL: everything is sent to one place');
  const derived: Directive[] = [];
  const say = (keyword: string, value: string): void => {
    derived.push({ keyword, words: [value], origin: commandLineOrigin });
  };
  if (destination !== undefined) say('destination', destination);
  if (!isSaid('post_base_url') && !isSaid('pbu') && !isNamed) say('post_base_url', 'file:');
  if (destination !== undefined && !isSaid('post_broker') && !isSaid('pb') && !isNamed) {
    say('post_broker', brokerOf(destination));
  }
  return { ...given, paths, options: [...derived, ...given.options] };
}

/** The same user on the same machine. */
function brokerOf(destination: string): string {
  const { hostname, username } = URL.canParse(destination)
    ? new URL(destination)
    : { hostname: '', username: '' };
  if (hostname === '' || username === '')
    throw usage(
      'who announces them, and where? Write the user into the URL, or --post_broker amqps://USER@PUMP/',
    );
  return `amqps://${username}@${hostname}/`;
}

const usage = (text: string): FatalError => new FatalError(text, { exitCode: 2 });
