/**
 * `${NAME}` known when a line is read. Names that only have a value when a file is at hand (dates, captures,
 * fields of its name) are left for later, untouched.
 */

const date = '(?:YYYYMMDD|YYYY|MM|DD|HH|JJJ|MN|SS)(?:-\\d+[smhdwSMHDW])?';
const bulletin = 'T1|T2|A1|A2|ii|CCCC|YY|GG|Gg|BBB|RYYYY|RMM|RDD|RHH|RMN|RSS';
const fileTime = new RegExp(`^(?:BD|PBD|DR|PDR|SOURCE|\\d+|${bulletin}|${date})$`);

/** True for names that are expanded per file. */
export const isFileTimeName = (name: string): boolean => fileTime.test(name);

export interface Substituted {
  readonly text: string;
  /** Names that stay in the text because nobody knows them. */
  readonly unresolved: readonly string[];
}

/** Replaces every `${NAME}` that `lookup` knows; values are not substituted again. */
export function substitute(text: string, lookup: (name: string) => string | undefined): Substituted {
  const unresolved: string[] = [];
  const result = text.replace(/\$\{([^{}]*)\}/g, (whole, name: string) => {
    const value = lookup(name);
    if (value !== undefined) return value;
    if (!isFileTimeName(name)) unresolved.push(name);
    return whole;
  });
  return { text: result, unresolved };
}
