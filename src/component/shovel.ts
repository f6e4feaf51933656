import type { Component } from './component.js';
import { passing, passingOptions } from './passing.js';
import { saving } from './saving.js';

export const shovel: Component = {
  name: 'shovel',
  summary: 'copy announcements to another broker or exchange',
  refused: {
    ...passingOptions.refused,
    restore_to_queue: 'restoring messages to a queue is not available yet',
  },
  withoutEffect: passingOptions.withoutEffect,
  build: (config, kit) => (config.queue.save ? saving(config, kit) : passing(config, kit)),
};
