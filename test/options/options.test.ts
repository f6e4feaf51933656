import { describe, expect, it } from 'vitest';
import { findOption, optionRows, rowsOf, successorNames } from '../../src/config/options/index.js';
import { camelCase } from '../../src/config/option.js';
import { showConfig } from '../../src/config/show.js';
import { refuseUnavailable, requireComponent } from '../../src/process/work/run.js';
import { casesOf } from './coverage.js';
import { type Name, built, names, openLab, routers, usualLines } from './lab.js';
import { programCases } from './program-cases.js';
import { linesOf, sampleOf } from './samples.js';
import { withoutEffect as saidWithoutEffect } from '../../src/component/refuse.js';

/*
 * No option without a decision: each one of the table is honoured (and there is a test of what it does), refused,
 * said to be without effect, ignored for old files, or another program's.
 */

/** Refused while the configuration is read. */
const refusedOnReading = (name: Name): readonly string[] => [
  'remote_config_url',
  ...(name === 'winnow' || name === 'sarra' ? ['save', 'discard'] : []),
  ...(name === 'sender' ? ['discard', 'notify_only'] : []),
];

describe.each([...names, ...routers])('%s', (name) => {
  const { refused, withoutEffect } = built(name);
  const reasons = Object.entries(refused);
  const inert = Object.entries(withoutEffect);
  const rows = rowsOf(name);
  const first = usualLines(name) + 1;

  it('decides about every option', () => {
    const decided = new Set([
      ...Object.keys(casesOf(name)),
      ...Object.keys(programCases[name]),
      ...Object.keys(refused),
      ...Object.keys(withoutEffect),
      ...refusedOnReading(name),
    ]);
    const open = rows.filter(({ name: option, row }) => !decided.has(option) && row.ignored === undefined);
    expect(open.map(({ name: option }) => option)).toEqual([]);
  });

  it('neither tests nor ignores what it refuses', () => {
    const tested = [...Object.keys(casesOf(name)), ...Object.keys(programCases[name])];
    const ignored = rows.filter(({ row }) => row.ignored !== undefined).map((row) => row.name as string);
    const out = [...Object.keys(refused), ...Object.keys(withoutEffect)];
    expect(out.filter((option) => tested.includes(option) || ignored.includes(option))).toEqual([]);
    expect(out.filter((option) => !rows.some((row) => row.name === option))).toEqual([]);
  });

  it.each(reasons)('refuses %s with its line', (option, why) => {
    const lab = openLab();
    try {
      const config = lab.read(name, ['', `${option} ${sampleOf(option)}`]);
      expect(() => refuseUnavailable(config, requireComponent(config))).toThrow(
        new RegExp(`/${name}/c\\.conf:${first + 1}: ${option} .*: ${escaped(why)}\\. Remove the line$`),
      );
    } finally {
      lab.remove();
    }
  });

  it.each(Object.keys(refused).filter((option) => isSwitch(option)))('lets %s off pass', (option) => {
    const lab = openLab();
    try {
      const config = lab.read(name, [`${option} off`]);
      expect(() => refuseUnavailable(config, requireComponent(config))).not.toThrow();
    } finally {
      lab.remove();
    }
  });

  it.each(inert)('says that %s has no effect', (option, why) => {
    const lab = openLab();
    try {
      const config = lab.read(name, [`${option} ${sampleOf(option)}`]);
      expect(saidWithoutEffect(config, withoutEffect)).toContainEqual(
        expect.stringMatching(`c\\.conf:${first}: ${option}: no effect: ${escaped(why)}`),
      );
      const general = lab.read(name, [], [`${option} ${sampleOf(option)}`]);
      expect(saidWithoutEffect(general, withoutEffect)).toEqual([]);
    } finally {
      lab.remove();
    }
  });

  const hooks = optionRows.filter(({ group, row }) => group === 'plugins' && !row.components.includes(name));
  it.each(hooks.map((row) => row.name))('refuses the hook %s, which it never calls', (hook) => {
    const lab = openLab();
    try {
      const config = lab.read(name, [`${hook} x`]);
      const refuse = (): void => refuseUnavailable(config, requireComponent(config));
      expect(refuse).toThrow(new RegExp(`c\\.conf:${first}: ${hook} x: sr_${name} never calls this hook`));
      const general = lab.read(name, [], [`${hook} x`]);
      expect(() => refuseUnavailable(general, requireComponent(general))).not.toThrow();
    } finally {
      lab.remove();
    }
  });

  const foreign = optionRows.filter(
    ({ name: option, group, row }) =>
      group !== 'plugins' &&
      row.ignored === undefined &&
      !row.components.includes(name) &&
      !refusedOnReading(name).includes(option),
  );
  it.each(foreign.map((row) => row.name))('warns that %s is for others', (option) => {
    const lab = openLab();
    try {
      const config = lab.read(name, [`${option} ${sampleOf(option)}`]);
      expect(config.warnings.map(({ origin, text }) => `${origin.line} ${text}`)).toContain(
        `${first} ${option}: no effect in sr_${name}`,
      );
      expect(
        lab.read(name, [], [`${option} ${sampleOf(option)}`]).warnings.map(({ text }) => text),
      ).not.toContain(`${option}: no effect in sr_${name}`);
    } finally {
      lab.remove();
    }
  });

  const ignored = rows.filter(({ row }) => row.ignored !== undefined);
  it.each(ignored.map(({ name: option, row }) => [option, row.ignored]))(
    'ignores %s, and says so',
    (option, why) => {
      const lab = openLab();
      try {
        const config = lab.read(name, [`${option} ${sampleOf(option ?? '')}`]);
        expect(config.warnings.map(({ text }) => text)).toContain(`${option}: ignored, ${why}`);
      } finally {
        lab.remove();
      }
    },
  );

  const keywords = rows
    .filter(
      ({ name: option, row }) =>
        !unspoken.has(option) && row.ignored === undefined && !refusedOnReading(name).includes(option),
    )
    .flatMap(({ name: option, row }) => [
      ...[...row.aliases, ...row.oldSpellings].map((keyword) => [keyword, option] as const),
      ...Object.entries(successorNames).filter(([, known]) => known === option),
    ]);
  it.each(keywords)('reads %s as %s', (keyword, option) => {
    const lab = openLab();
    try {
      const found = findOption(option);
      const valueAs = (word: string): unknown => {
        const config = lab.read(name, linesOf(option, word));
        return { ...config[found?.group ?? 'running'] }[camelCase(option) as never];
      };
      expect(valueAs(keyword)).toEqual(valueAs(option));
      const isOld = found?.row.oldSpellings.includes(keyword) === true;
      const said = lab.read(name, linesOf(option, keyword)).warnings.map(({ text }) => text);
      expect(said.some((text) => text.startsWith(`${keyword}: old spelling of`))).toBe(
        isOld || option === 'document_root' || (name === 'post' && ['broker', 'exchange'].includes(option)),
      );
    } finally {
      lab.remove();
    }
  });

  it('shows where each option was written', () => {
    const lab = openLab();
    try {
      for (const { name: option, row } of rows) {
        if (unspoken.has(option) || row.ignored !== undefined) continue;
        if (refusedOnReading(name).includes(option)) continue;
        const written = showConfig(lab.read(name, ['', '', ...linesOf(option)]));
        expect(
          written.filter((line) => line.startsWith(`${option} `)),
          option,
        ).toEqual([expect.stringMatching(new RegExp(` # /.*/c\\.conf:${first + 2}$`))]);
        const general = showConfig(lab.read(name, [], ['', ...linesOf(option)]));
        const own = [
          'broker',
          'post_broker',
          'post_base_url',
          'directory',
          'report_dialect',
          'exchange',
          'post_exchange',
          ...(name === 'sarra' ? ['mirror', 'drop_dir'] : []),
          ...(name === 'sender' ? ['mirror', 'base_dir', 'destination'] : []),
          ...(routers.some((one) => one === name) ? ['cluster', 'to'] : []),
        ].includes(option);
        if (own) continue;
        expect(
          general.filter((line) => line.startsWith(`${option} `)),
          option,
        ).toEqual([expect.stringMatching(/ # \/.*\/default\.conf:2$/)]);
        const usual = showConfig(lab.read(name, []));
        expect(
          usual.filter((line) => line.startsWith(`${option} `)),
          option,
        ).toEqual([expect.stringMatching(/ # (default|preset|\/.*\/c\.conf:\d)$/)]);
      }
    } finally {
      lab.remove();
    }
  });

  it('shows where rules and declarations were written', () => {
    const lab = openLab();
    try {
      const shown = showConfig(lab.read(name, ['accept .*/a/.*', 'reject .*', 'declare env A=b'])).join('\n');
      expect(shown).toMatch(new RegExp(`^accept \\.\\*/a/\\.\\* +# /.*/c\\.conf:${first}`, 'm'));
      expect(shown).toMatch(new RegExp(`^reject \\.\\* +# /.*/c\\.conf:${first + 1}$`, 'm'));
      expect(shown).toMatch(/^declare env A=b$/m);
    } finally {
      lab.remove();
    }
  });
});

describe.each(['winnow', 'sarra'] as const)('%s', (name) => {
  it.each(['save', 'discard'])('refuses %s while it is read', (option) => {
    const lab = openLab();
    try {
      expect(() => lab.read(name, [`${option} on`])).toThrow(
        new RegExp(`c\\.conf:${usualLines(name) + 1}: ${option}: sr_${name} cannot do that`),
      );
    } finally {
      lab.remove();
    }
  });
});

it('refuses a configuration that was fetched from a server', () => {
  const lab = openLab();
  try {
    expect(() => lab.read('subscribe', ['remote_config_url https://x.example.org/c.conf'])).toThrow(
      /c\.conf:3: remote_config_url: configurations are not fetched from servers/,
    );
  } finally {
    lab.remove();
  }
});

/** Not values of a configuration: rules and declarations stand for themselves, the others belong to the command line. */
const unspoken: ReadonlySet<string> = new Set([
  'accept',
  'reject',
  'declare',
  'action',
  'include',
  'no',
  'remote_config_url',
]);

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function isSwitch(option: string): boolean {
  return /^boolean/.test(findOption(option)?.row.type.name ?? '');
}
