// Real digits, in sixteenths of white, for the figures that begin with one.
((ddpm) => {
  'use strict';
  /** @param {number[]} sixteenths */
  const digit = (...sixteenths) => Float32Array.from(sixteenths, (v) => v / 8 - 1);

  // Image 3 of the data set
  const three = digit(
    0, 0, 7, 15, 13, 1, 0, 0, 0, 8, 13, 6, 15, 4, 0, 0, 0, 2, 1, 13, 13, 0, 0, 0, 0, 0, 2, 15, 11,
    1, 0, 0, 0, 0, 0, 1, 12, 12, 1, 0, 0, 0, 0, 0, 1, 10, 8, 0, 0, 0, 8, 4, 5, 14, 9, 0, 0, 0, 7,
    13, 13, 9, 0, 0,
  );
  // Image 7
  const seven = digit(
    0, 0, 7, 8, 13, 16, 15, 1, 0, 0, 7, 7, 4, 11, 12, 0, 0, 0, 0, 0, 8, 13, 1, 0, 0, 4, 8, 8, 15,
    15, 6, 0, 0, 2, 11, 15, 15, 4, 0, 0, 0, 0, 0, 16, 5, 0, 0, 0, 0, 0, 9, 15, 1, 0, 0, 0, 0, 0, 13,
    5, 0, 0, 0, 0,
  );
  Object.assign(ddpm, { real: { three, seven } });
})((globalThis.ddpm ??= /** @type {any} */ ({})));
