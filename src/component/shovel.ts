import type { Component } from './component.js';
import { passing, passingOptions } from './passing.js';

export const shovel: Component = {
  name: 'shovel',
  summary: 'copy announcements to another broker or exchange',
  refused: {
    ...passingOptions.refused,
    save: 'saving messages to a file is not available yet',
    restore_to_queue: 'restoring messages to a queue is not available yet',
  },
  withoutEffect: passingOptions.withoutEffect,
  build: passing,
};
