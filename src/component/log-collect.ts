import { sourceOfExchange } from '../config/source-of-exchange.js';
import { aim } from '../stage/pass/aim.js';
import { attest } from '../stage/door/attest.js';
import type { Component } from './component.js';
import { AGAIN, eitherOf, onward, records, routed, routingOptions } from './routing.js';

const everyPump = 'records of users are collected whatever pump they are about';

export const logCollect: Component = {
  name: '2xlog',
  summary: 'collect the delivery records of users, from the exchange of each what it did itself',
  refused: routingOptions.refused,
  withoutEffect: {
    ...routingOptions.withoutEffect,
    cluster: everyPump,
    cluster_aliases: everyPump,
  },
  build: (config, kit) => {
    const { sources, subscribers, pumps } = config.declared;
    const users = new Set([...sources, ...subscribers, ...pumps]);
    const collected = records(config, kit)
      .to(attest((exchange) => sourceOfExchange(exchange, users)))
      .to(aim((_report, dialect) => eitherOf(dialect, 'xlog', 'xreport')))
      .to(onward(config, kit, { read: true, again: AGAIN }));
    return routed(collected, config, kit);
  },
};
