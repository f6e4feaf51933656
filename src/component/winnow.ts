import type { Component } from './component.js';
import { passing, passingOptions } from './passing.js';

export const winnow: Component = {
  name: 'winnow',
  summary: 'pass on the first of equal announcements, and only that',
  ...passingOptions,
  build: passing,
};
