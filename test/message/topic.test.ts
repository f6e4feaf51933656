import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bindingKey,
  cutTopic,
  POST_PREFIX,
  retopic,
  topicOf,
  topicType,
  withType,
} from '../../src/message/topic.js';
import { vectorsOf, type WrittenMessage } from './vectors.js';

describe('topicOf', () => {
  it.each(vectorsOf('topic'))('$id: $input.relpath', ({ input, output }) => {
    expect(topicOf(POST_PREFIX, String(input['relpath'])).topic).toBe(output['topic']);
  });

  it.each([
    ['/2016.01.15/v1..2/x', 'v02.post.2016.01.15.v1.2'],
    ['/dir one/b#c/f', 'v02.post.dir%20one.b%23c'],
    ['/p%20q/x', 'v02.post.p%20q'],
    ['/st*r/x', 'v02.post.st*r'],
    ['/été/données é.txt', 'v02.post.été'],
    ['', 'v02.post'],
    ['/', 'v02.post'],
    ['////', 'v02.post'],
  ])('%s is announced under %s', (path, topic) => {
    expect(topicOf(POST_PREFIX, path)).toEqual({ topic, truncated: false });
  });

  it.each(vectorsOf('post').filter(({ id }) => id === 'P39' || id === 'P40'))(
    '$id: cuts a long topic where the existing program does',
    ({ input, output }) => {
      const [message] = output['messages'] as WrittenMessage[];
      const path = String(input['path']).slice('/srv/pub'.length);
      expect(topicOf(POST_PREFIX, path)).toEqual({ topic: message?.topic, truncated: true });
    },
  );

  it('never exceeds what a routing key holds, and never splits a character', () => {
    // The sign for a character that was split is one itself.
    const path = fc
      .string({ unit: 'grapheme', maxLength: 400 })
      .map((text) => text.replaceAll('\ufffd', '?'));
    fc.assert(
      fc.property(path, fc.array(path, { maxLength: 4 }), (prefix, elements) => {
        const { topic, truncated } = topicOf(prefix, elements.join('/'));
        expect(Buffer.byteLength(topic)).toBeLessThanOrEqual(253);
        expect(topic).not.toContain('\ufffd');
        if (truncated) expect(Buffer.byteLength(topic)).toBeGreaterThan(249);
      }),
    );
  });

  it('takes any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (path) => {
        expect(Buffer.byteLength(topicOf(POST_PREFIX, path).topic)).toBeLessThanOrEqual(255);
      }),
    );
  });
});

describe('withType', () => {
  it.each([
    ['v02.post.a.b', 'log', 'v02.log.a.b'],
    ['v02.post', 'report', 'v02.report'],
    ['v02.post.post.post', 'log', 'v02.log.post.post'],
    ['v02.report.a.post', 'log', 'v02.log.a.post'],
    ['v02', 'log', 'v02.log'],
  ])('%s with %s is %s', (topic, type, expected) => {
    expect(withType(topic, type)).toBe(expected);
  });

  it('does not grow a topic beyond the limit', () => {
    const long = `v02.log.${'x'.repeat(245)}`;
    expect(Buffer.byteLength(long)).toBe(253);
    expect(Buffer.byteLength(withType(long, 'report'))).toBe(253);
  });
});

it('tells the kind of message from the second word', () => {
  expect(
    ['v02.post.a', 'v02.log', 'v02.report.post', 'v02.pulse.tick', 'v02', '', 'v02.posts'].map(topicType),
  ).toEqual(['post', 'log', 'report', undefined, undefined, undefined, undefined]);
});

describe('retopic', () => {
  it.each([
    ['v02.post.a.b', 'v02.post', 'v02.post.north', 'v02.post.north.a.b'],
    ['v02.post', 'v02.post', 'v02.copy', 'v02.copy'],
    ['v02.post.own.a.b', 'v02.post.own', 'v02.post', 'v02.post.a.b'],
    ['v02.postal.a', 'v02.post', 'v02.x', 'v02.x.a'],
    ['other', 'v02.post', 'v02.x', 'v02.x'],
  ])('%s from %s to %s is %s', (topic, from, to, expected) => {
    expect(retopic(topic, from, to)).toBe(expected);
  });
});

describe('bindingKey', () => {
  it.each([
    [undefined, 'v02.post.#'],
    ['#', 'v02.post.#'],
    ['a.b', 'v02.post.a.b'],
    ['a b.#', 'v02.post.a%20b.#'],
    ['*.wind speed.b#c.#', 'v02.post.*.wind%20speed.b%23c.#'],
    ['b#c', 'v02.post.b%23c'],
    ['', 'v02.post'],
  ])('of subtopic %s is %s', (subtopic, key) => {
    expect(bindingKey(POST_PREFIX, subtopic)).toBe(key);
  });

  it('is the topic itself for a directory that has no wildcard', () => {
    const name = fc.stringMatching(/^[a-zé #]{1,8}$/).filter((text) => text !== '#');
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 4 }), (directories) => {
        fc.pre(directories.at(-1) !== '#');
        const { topic } = topicOf(POST_PREFIX, `${directories.join('/')}/file`);
        expect(bindingKey(POST_PREFIX, directories.join('.'))).toBe(topic);
      }),
    );
  });
});

it('leaves a topic of 253 bytes as it is', () => {
  expect(cutTopic('x'.repeat(253))).toEqual({ topic: 'x'.repeat(253), truncated: false });
  expect(cutTopic(`${'x'.repeat(252)}é`)).toEqual({ topic: 'x'.repeat(252), truncated: true });
});
