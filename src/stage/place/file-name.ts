import { FatalError } from '../../errors.js';

/**
 * A plugin that computes a name. `script` is what the configuration says, `name` the name found so far; it answers
 * the new name, or undefined to keep it.
 */
export type NameScript = (script: string, name: string) => Promise<string | undefined>;

/** One keyword of a `filename` option. */
export type NameStep =
  | { readonly keyword: 'WHATFN' | 'HEADFN' | 'NONE' | 'NONESENDER' | 'SENDER' | 'TIME' }
  | { readonly keyword: 'DESTFN'; readonly value: string }
  | { readonly keyword: 'DESTFNSCRIPT'; readonly value: string }
  | { readonly keyword: 'SATNET'; readonly value: string }
  | { readonly keyword: 'rename'; readonly value: string };

/** What a name is made from. */
export interface NameContext {
  /** The file's name, without the suffix of a part file. */
  readonly name: string;
  /** Header of older pumps: the fields that their names do not show. */
  readonly sundewExtension: string | undefined;
  /** Publication time, `YYYYMMDDHHMMSS.mmm`. */
  readonly pubTime: string;
}

const plain: Readonly<Record<string, NameStep>> = {
  WHATFN: { keyword: 'WHATFN' },
  HEADFN: { keyword: 'HEADFN' },
  NONE: { keyword: 'NONE' },
  NONESENDER: { keyword: 'NONESENDER' },
  SENDER: { keyword: 'SENDER' },
  TIME: { keyword: 'TIME' },
};

/**
 * Reads a `filename` option, keywords joined by `:`. Throws FatalError (exit code 2) for a keyword that nobody
 * knows, or a name that could not be one.
 */
export function parseFileNameOption(option: string): readonly NameStep[] {
  // Only for what lists a server: it fills a header there and names nothing here.
  if (option.startsWith('rename=')) return [{ keyword: 'rename', value: option.slice(7) }];
  return option.split(':').map((word) => stepOf(word, option));
}

function stepOf(word: string, option: string): NameStep {
  if (Object.hasOwn(plain, word)) return plain[word] ?? { keyword: 'NONE' };
  const found = /^(DESTFN|DESTFNSCRIPT|SATNET)=(.+)$/.exec(word);
  if (found === null) throw unusable(option, `"${word}" is not a keyword`);
  const [, keyword, value = ''] = found;
  if (keyword === 'DESTFNSCRIPT') return { keyword, value };
  if (value.includes('/')) throw unusable(option, `${word} holds a slash, use directory for directories`);
  return { keyword: keyword === 'DESTFN' ? 'DESTFN' : 'SATNET', value };
}

const unusable = (option: string, why: string): FatalError =>
  new FatalError(
    `filename option ${option}: ${why}. Use WHATFN, HEADFN, NONE, NONESENDER, SENDER, TIME, DESTFN=name, ` +
      'DESTFNSCRIPT=file or SATNET=name, joined by colons',
    { exitCode: 2 },
  );

/**
 * The name that the steps give a file. Names come from strangers and so does the result: the caller checks it.
 * `script` answers for DESTFNSCRIPT.
 */
export async function nameFile(
  steps: readonly NameStep[],
  context: NameContext,
  script: NameScript,
): Promise<string> {
  const first = context.name.split(':')[0] ?? '';
  const fields =
    context.sundewExtension === undefined
      ? context.name.split(':')
      : [first, ...context.sundewExtension.split(':')];
  const whole = fields.join(':');
  let name = whole;
  let satnet = '';
  let time = '';
  for (const step of steps) {
    switch (step.keyword) {
      case 'SATNET':
        satnet = `:SATNET=${step.value}`;
        break;
      case 'TIME':
        time = `:${timeStamp(fields, context.pubTime)}`;
        break;
      case 'DESTFNSCRIPT':
        name = (await script(step.value, name)) ?? name;
        break;
      case 'DESTFN':
        name = step.value;
        break;
      case 'rename':
        break;
      default:
        name = shortened(step.keyword, whole, fields) ?? name;
    }
  }
  const marked = name + satnet;
  return marked.endsWith(time) ? marked : marked + time;
}

/** What one keyword makes of the whole name; undefined leaves the name as it was. */
function shortened(
  keyword: 'WHATFN' | 'HEADFN' | 'NONE' | 'NONESENDER' | 'SENDER',
  whole: string,
  fields: readonly string[],
): string | undefined {
  const first = fields[0] ?? '';
  switch (keyword) {
    case 'WHATFN':
      return first;
    case 'HEADFN':
      return first.split('_', 2).join('_');
    case 'NONE':
    case 'NONESENDER':
      return withoutRouting(whole, fields, keyword === 'NONESENDER');
    case 'SENDER':
      return /SENDER=([^:]+)/.exec(whole)?.[1];
  }
}

/** The name without the fields that only route it: those after the sixth, or fifth, or from `SENDER=` on. */
function withoutRouting(whole: string, fields: readonly string[], keepSender: boolean): string | undefined {
  const sender = whole.indexOf('SENDER=');
  let name = whole;
  if (sender >= 0) {
    const next = whole.indexOf(':', sender);
    name = keepSender ? whole.slice(0, next < 0 ? undefined : next) : whole.slice(0, sender);
  } else if (fields.length >= 6) {
    name = fields.slice(0, fields[4]?.length === 1 ? 6 : 5).join(':');
  }
  const trimmed = name.endsWith(':') ? name.slice(0, -1) : name;
  return trimmed === '' ? undefined : trimmed;
}

/** Fourteen digits: the last field when it is a time already, else when the file was announced. */
function timeStamp(fields: readonly string[], pubTime: string): string {
  const last = fields.at(-1) ?? '';
  return /^\d{14}$/.test(last) ? last : pubTime.slice(0, 14);
}
