// Tensors, and operators on each of their cells, for operators.js.
//
// A tensor is {type, shape, cells}.  Numbers of every type, and booleans, are float64 in `cells`;
// float32 is rounded after each operation, and an integer beyond 2**53 is refused, never rounded.
"use strict";

const edgeTensors = (() => {
  const INTEGERS = new Set(["int64", "int32", "uint8"]);

  const size = shape => shape.reduce((product, n) => product * n, 1);
  const tensor = (type, shape, cells) => ({type, shape, cells});
  const room = (type, count) => type === "string" ? new Array(count) : new Float64Array(count);
  const axisOf = (axis, rank) => axis < 0 ? axis + rank : axis;
  const integers = value => Array.from(value.cells);

  function fit(type, number) {
    if (type === "float32") return Math.fround(number);
    if (INTEGERS.has(type) && !Number.isSafeInteger(number))
      throw new Error(`${number} is no integer of ${type} that float64 holds`);
    return number;
  }

  function strides(shape) {
    const steps = new Array(shape.length);
    let step = 1;
    for (let i = shape.length - 1; i >= 0; i--) { steps[i] = step; step *= shape[i]; }
    return steps;
  }

  function broadcastShape(shapes) {
    const rank = Math.max(...shapes.map(shape => shape.length));
    const result = new Array(rank).fill(1);
    for (const shape of shapes)
      shape.forEach((n, i) => {
        const place = rank - shape.length + i;
        if (n !== 1 && result[place] !== 1 && n !== result[place])
          throw new Error(`shapes ${shapes.join(" and ")} do not fit together`);
        if (n !== 1) result[place] = n;
      });
    return result;
  }

  // The position in a tensor of `shape` for every position in a tensor of `result`.
  function positions(shape, result) {
    const count = size(result), places = new Int32Array(count);
    const steps = strides(shape), offset = result.length - shape.length;
    const own = result.map((_, i) => i < offset || shape[i - offset] === 1 ? 0 : steps[i - offset]);
    const index = new Array(result.length).fill(0);
    for (let i = 0, place = 0; i < count; i++) {
      places[i] = place;
      for (let axis = result.length - 1; axis >= 0; axis--) {
        place += own[axis];
        if (++index[axis] < result[axis]) break;
        place -= own[axis] * result[axis];
        index[axis] = 0;
      }
    }
    return places;
  }

  function elementwise(type, inputs, compute) {
    const shape = broadcastShape(inputs.map(input => input.shape));
    const places = inputs.map(input => positions(input.shape, shape));
    const cells = room(type, size(shape));
    const operands = new Array(inputs.length);
    for (let i = 0; i < cells.length; i++) {
      for (let k = 0; k < inputs.length; k++) operands[k] = inputs[k].cells[places[k][i]];
      cells[i] = compute(...operands);
    }
    return [tensor(type, shape, cells)];
  }

  const unary = compute => ([x]) => {
    const cells = room(x.type, x.cells.length);
    for (let i = 0; i < cells.length; i++) cells[i] = fit(x.type, compute(x.cells[i]));
    return [tensor(x.type, x.shape, cells)];
  };
  const test = compute => inputs => elementwise("bool", inputs, (...cells) => +compute(...cells));
  const arithmetic = compute => inputs => {
    const type = inputs[0].type;
    return elementwise(type, inputs, (a, b) => fit(type, compute(a, b, type)));
  };
  const several = compute => inputs =>
    inputs.slice(1).reduce(([total], next) => arithmetic(compute)([total, next]), [inputs[0]]);
  // BigInt.asIntN: two's complement of 64 bits, as onnxruntime's int64.
  const bits = compute => arithmetic(
    (a, b) => Number(BigInt.asIntN(64, compute(BigInt(a), BigInt(b)))));

  function roundHalfEven(x) {
    const low = Math.floor(x), rest = x - low;
    return rest < 0.5 ? low : rest > 0.5 ? low + 1 : low % 2 === 0 ? low : low + 1;
  }

  // C's pow: 1 where the base is 1, or -1 with an infinite exponent; JavaScript gives NaN there.
  const power = (x, y) => x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : Math.pow(x, y);
  const divide = (a, b, type) => INTEGERS.has(type) ? Math.trunc(a / b) : a / b;
  const sigmoid = x => x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));

  // outer x length x inner: how the axes before, at and after `axis` lie in memory.
  function around(shape, axis) {
    return [size(shape.slice(0, axis)), shape[axis], size(shape.slice(axis + 1))];
  }

  return {
    INTEGERS, size, tensor, room, axisOf, integers, fit, strides, positions, broadcastShape, elementwise,
    unary, test, arithmetic, several, bits, roundHalfEven, power, divide, sigmoid, around,
  };
})();
