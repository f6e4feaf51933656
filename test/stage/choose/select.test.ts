import { describe, expect, it } from 'vitest';
import { isSettled } from '../../../src/flow/outcome.js';
import { compilePattern } from '../../../src/config/pattern/pattern.js';
import { select, selectAnnouncement, selectRule } from '../../../src/stage/choose/select.js';
import { announcement, noPlacement, received, rule, selection } from '../placing.js';

describe('the rules', () => {
  const rules = [
    rule('reject', '.*\\.tmp$'),
    rule('accept', '.*/(reg|glb)/(?:x/)?f(\\d)?', { directory: '/first' }),
    rule('reject', '.*/glb/.*'),
    rule('accept', 'http://d/[^/]*$', { directory: '/second' }),
  ];

  it('end with the first that matches, anchored at the start only', () => {
    expect(selectRule('http://d/glb/f1', rules, false)).toMatchObject({ verdict: 'accept', rule: rules[1] });
    expect(selectRule('http://d/glb/g', rules, true)).toEqual({
      verdict: 'reject',
      by: 'reject .*/glb/.* (test.conf:1)',
    });
    expect(selectRule('http://d/reg/f.tmp', rules, true).verdict).toBe('reject');
    expect(selectRule('http://d/top', rules, false)).toMatchObject({ rule: rules[3] });
    expect(selectRule('ftp://http://d/top', rules, false).verdict).toBe('reject');
  });

  it('capture groups from the first, an absent one as nothing, the whole URL where there are none', () => {
    expect(selectRule('http://d/reg/f7', rules, false)).toMatchObject({ captures: ['reg', '7'] });
    expect(selectRule('http://d/reg/f', rules, false)).toMatchObject({ captures: ['reg', ''] });
    expect(selectRule('http://d/top', rules, false)).toMatchObject({ captures: ['http://d/top'] });
  });

  it('leave what none matches to accept_unmatch and the settings at the end', async () => {
    expect(selectRule('http://d/a/b', rules, false)).toEqual({ verdict: 'reject', by: 'no rule accepts it' });
    expect(selectRule('http://d/a/b', rules, true)).toEqual({
      verdict: 'accept',
      rule: undefined,
      captures: ['http://d/a/b'],
    });
    const unmatched = { ...noPlacement, directory: '/end' };
    const stage = select({ ...selection(rules), acceptUnmatch: true, unmatched });
    const gain = await stage.run(received(announcement('a/b')), new AbortController().signal);
    expect(gain).toEqual({ placement: unmatched, rule: undefined, captures: ['http://d/a/b'] });
  });
});

describe('the stage', () => {
  const run = async (subject = announcement('a/f'), options = selection([rule('reject', '.*/a/.*')])) =>
    select(options).run(received(subject), new AbortController().signal);

  it('drops without a report, and names the rule', async () => {
    const answer = await run();
    expect(isSettled(answer) && answer.outcome).toEqual({
      kind: 'dropped',
      by: 'reject .*/a/.* (test.conf:1)',
    });
  });

  it('looks at the URL as it was transmitted', () => {
    const verdict = (pattern: string, subject = announcement('/to%20r/f%23x')): string =>
      selectAnnouncement(subject, selection([rule('accept', pattern)])).verdict;
    expect(verdict('http://d//to%20r/f%23x$')).toBe('accept');
    expect(verdict('.*to r')).toBe('reject');
    expect(verdict('file:/a$', announcement('/a', { baseUrl: 'file:' }))).toBe('accept');
  });

  it('adds the extension of older pumps unless the path has one', () => {
    const headers = new Map([['sundew_extension', 'x:y']]);
    const options = selection([rule('accept', '.*/f:x:y$')]);
    expect(selectAnnouncement(announcement('f', { headers }), options).verdict).toBe('accept');
    expect(selectAnnouncement(announcement('f:z', { headers }), options).verdict).toBe('reject');
  });

  it('looks at the path alone, anywhere in it, for the configurations that say so', () => {
    const { pattern } = compilePattern('/[[:digit:]]{8}/', { anchored: false });
    const options = {
      ...selection([{ ...rule('accept', 'x'), pattern }, rule('reject', '.*')]),
      matching: 'path' as const,
    };
    expect(selectAnnouncement(announcement('data/20160120/x'), options).verdict).toBe('accept');
    expect(selectAnnouncement(announcement('x', { baseUrl: 'http://d/20160120/' }), options).verdict).toBe(
      'reject',
    );
  });

  it('rejects what is too long to be judged, even where everything unmatched is accepted', () => {
    const text = 'b'.repeat(600);
    const one = rule('reject', 'a');
    const limited = { ...one, pattern: { ...one.pattern, longest: 599 } };
    expect(selectRule(text, [one], true).verdict).toBe('accept');
    expect(selectRule(text, [limited], true)).toEqual({
      verdict: 'reject',
      by: 'too long for reject a (test.conf:1)',
    });
    const options = { ...selection([]), longestText: 600 };
    expect(selectAnnouncement(announcement(text.slice(9)), options).verdict).toBe('accept');
    expect(selectAnnouncement(announcement(text), options).verdict).toBe('reject');
  });
});
