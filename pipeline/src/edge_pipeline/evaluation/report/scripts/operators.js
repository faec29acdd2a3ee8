// Run the graph of a sealed file in float64: linear models, trees, and the preprocessing of both.
"use strict";

const edgeGraph = (() => {
  const {
    INTEGERS, size, tensor, room, axisOf, integers, fit, strides, positions, broadcastShape, elementwise,
    unary, test, arithmetic, several, bits, roundHalfEven, power, divide, sigmoid, around,
  } = edgeTensors;

  function best(isBetter) {
    return ([x], {axis = 0, keepdims = 1}) => {
      const at = axisOf(axis, x.shape.length), [outer, length, inner] = around(x.shape, at);
      const cells = room("int64", outer * inner);
      for (let o = 0; o < outer; o++)
        for (let i = 0; i < inner; i++) {
          const start = o * length * inner + i;
          let winner = 0;
          for (let k = 1; k < length; k++)
            if (isBetter(x.cells[start + k * inner], x.cells[start + winner * inner])) winner = k;
          cells[o * inner + i] = winner;
        }
      const shape = [...x.shape];
      keepdims ? shape[at] = 1 : shape.splice(at, 1);
      return [tensor("int64", shape, cells)];
    };
  }

  function reduce(first, combine) {
    return ([x, axes], {keepdims = 1}) => {
      const rank = x.shape.length;
      const reduced = new Set((axes ? integers(axes) : x.shape.map((_, i) => i))
        .map(axis => axisOf(axis, rank)));
      const kept = x.shape.map((n, i) => reduced.has(i) ? 1 : n);
      const cells = room(x.type, size(kept)).fill(first);
      positions(kept, x.shape).forEach((place, i) => {
        cells[place] = fit(x.type, combine(cells[place], x.cells[i]));
      });
      const shape = keepdims ? kept : x.shape.filter((_, i) => !reduced.has(i));
      return [tensor(x.type, shape, cells)];
    };
  }

  function cast([x], {to}) {
    const cells = room(to, x.cells.length);
    for (let i = 0; i < cells.length; i++) {
      const cell = x.cells[i];
      cells[i] = to === "bool" ? +(cell !== 0) : INTEGERS.has(to) ? fit(to, Math.trunc(cell))
        : fit(to, cell);
    }
    return [tensor(to, x.shape, cells)];
  }

  function concat(inputs, {axis}) {
    const at = axisOf(axis, inputs[0].shape.length), shape = [...inputs[0].shape];
    shape[at] = inputs.reduce((total, input) => total + input.shape[at], 0);
    const [outer, , inner] = around(shape, at), cells = room(inputs[0].type, size(shape));
    let place = 0;
    for (let o = 0; o < outer; o++)
      for (const input of inputs) {
        const block = input.shape[at] * inner;
        for (let i = 0; i < block; i++) cells[place++] = input.cells[o * block + i];
      }
    return [tensor(inputs[0].type, shape, cells)];
  }

  function gather([x, indices], {axis = 0}) {
    const at = axisOf(axis, x.shape.length), [outer, length, inner] = around(x.shape, at);
    const shape = [...x.shape.slice(0, at), ...indices.shape, ...x.shape.slice(at + 1)];
    const cells = room(x.type, size(shape));
    let place = 0;
    for (let o = 0; o < outer; o++)
      for (const index of indices.cells) {
        const start = (o * length + axisOf(index, length)) * inner;
        for (let i = 0; i < inner; i++) cells[place++] = x.cells[start + i];
      }
    return [tensor(x.type, shape, cells)];
  }

  // Where each cell of `indices` points to along `axis`, as a position in a tensor of `shape`.
  function elementPlaces(shape, indices, axis) {
    const at = axisOf(axis, shape.length), steps = strides(shape), own = strides(indices.shape);
    return Array.from(indices.cells, (index, i) => {
      let place = axisOf(index, shape[at]) * steps[at];
      for (let k = 0; k < shape.length; k++)
        if (k !== at) place += (Math.floor(i / own[k]) % indices.shape[k]) * steps[k];
      return place;
    });
  }

  const JOINS = {
    none: (_, update) => update, add: (cell, update) => cell + update,
    mul: (cell, update) => cell * update,
    max: (cell, update) => Math.max(cell, update), min: (cell, update) => Math.min(cell, update),
  };

  function scatterElements([x, indices, updates], {axis = 0, reduction = "none"}) {
    const cells = x.cells.slice(), join = JOINS[reduction];
    elementPlaces(x.shape, indices, axis).forEach((place, i) => {
      const joined = join(cells[place], updates.cells[i]);
      cells[place] = x.type === "string" ? joined : fit(x.type, joined);
    });
    return [tensor(x.type, x.shape, cells)];
  }

  function matMul([a, b]) {
    if (a.shape.length !== 2 || b.shape.length !== 2)
      throw new Error("only matrices are multiplied");
    const [rows, depth] = a.shape, columns = b.shape[1], cells = room(a.type, rows * columns);
    for (let r = 0; r < rows; r++)
      for (let k = 0; k < depth; k++) {
        const factor = a.cells[r * depth + k];
        for (let c = 0; c < columns; c++)
          cells[r * columns + c] += factor * b.cells[k * columns + c];
      }
    return [tensor(a.type, [rows, columns], cells)];
  }

  function gemm([a, b, c]) {
    const product = matMul([a, b]);
    return c === undefined ? product : arithmetic((x, y) => x + y)([product[0], c]);
  }

  function reshape([x, shape]) {
    const sizes = integers(shape).map((n, i) => n === 0 ? x.shape[i] : n), open = sizes.indexOf(-1);
    if (open >= 0) sizes[open] = x.cells.length / -size(sizes);
    return [tensor(x.type, sizes, x.cells)];
  }

  function slice([x, starts, ends, axes, steps]) {
    const rank = x.shape.length, shape = [...x.shape];
    const from = new Array(rank).fill(0), by = new Array(rank).fill(1);
    integers(starts).forEach((start, i) => {
      const axis = axes ? axisOf(axes.cells[i], rank) : i, n = x.shape[axis];
      const step = steps ? steps.cells[i] : 1, lowest = step < 0 ? -1 : 0;
      const clip = value => Math.min(Math.max(value < 0 ? value + n : value, lowest), n + (step < 0 ? -1 : 0));
      from[axis] = clip(start);
      by[axis] = step;
      shape[axis] = Math.max(0, Math.ceil((clip(ends.cells[i]) - from[axis]) / step));
    });
    const cells = room(x.type, size(shape)), own = strides(shape), full = strides(x.shape);
    for (let i = 0; i < cells.length; i++) {
      let place = 0;
      for (let k = 0; k < rank; k++)
        place += (from[k] + (Math.floor(i / own[k]) % shape[k]) * by[k]) * full[k];
      cells[i] = x.cells[place];
    }
    return [tensor(x.type, shape, cells)];
  }

  function softmax([x], {axis = -1}) {
    const [outer, length, inner] = around(x.shape, axisOf(axis, x.shape.length));
    const cells = room(x.type, x.cells.length);
    for (let o = 0; o < outer; o++)
      for (let i = 0; i < inner; i++) {
        const place = k => (o * length + k) * inner + i;
        let most = -Infinity, total = 0;
        for (let k = 0; k < length; k++) most = Math.max(most, x.cells[place(k)]);
        for (let k = 0; k < length; k++)
          total += cells[place(k)] = Math.exp(x.cells[place(k)] - most);
        for (let k = 0; k < length; k++) cells[place(k)] /= total;
      }
    return [tensor(x.type, x.shape, cells)];
  }

  function cumSum([x, axis]) {
    const [outer, length, inner] = around(x.shape, axisOf(axis.cells[0], x.shape.length));
    const cells = x.cells.slice();
    for (let o = 0; o < outer; o++)
      for (let k = 1; k < length; k++)
        for (let i = 0; i < inner; i++) {
          const place = (o * length + k) * inner + i;
          cells[place] = fit(x.type, cells[place - inner] + cells[place]);
        }
    return [tensor(x.type, x.shape, cells)];
  }

  function split([x, sizes], {axis = 0}) {
    const at = axisOf(axis, x.shape.length);
    let start = 0;
    return integers(sizes).map(n => {
      const ends = [start, start += n].map(end => tensor("int64", [1], [end]));
      return slice([x, ...ends, tensor("int64", [1], [at])])[0];
    });
  }

  function squeeze([x, axes]) {
    const dropped = axes && new Set(integers(axes).map(axis => axisOf(axis, x.shape.length)));
    const shape = x.shape.filter((n, i) => dropped ? !dropped.has(i) : n !== 1);
    return [tensor(x.type, shape, x.cells)];
  }

  function unsqueeze([x, axes]) {
    const rank = x.shape.length + axes.cells.length, shape = [...x.shape];
    for (const axis of integers(axes).map(n => axisOf(n, rank)).sort((a, b) => a - b))
      shape.splice(axis, 0, 1);
    return [tensor(x.type, shape, x.cells)];
  }

  function transpose([x], {perm}) {
    const order = perm || x.shape.map((_, i) => x.shape.length - 1 - i);
    const shape = order.map(axis => x.shape[axis]), steps = strides(x.shape), own = strides(shape);
    const cells = room(x.type, x.cells.length);
    for (let i = 0; i < cells.length; i++) {
      let place = 0;
      for (let k = 0; k < shape.length; k++)
        place += (Math.floor(i / own[k]) % shape[k]) * steps[order[k]];
      cells[i] = x.cells[place];
    }
    return [tensor(x.type, shape, cells)];
  }

  // -0 and 0 are one key, and NaN is a key too, as in JavaScript's Map.
  function labelEncoder([x], {keys_tensor, values_tensor, default_tensor}) {
    const table = new Map();
    keys_tensor.cells.forEach((key, i) => {
      if (!table.has(key)) table.set(key, values_tensor.cells[i]);
    });
    const cells = room(values_tensor.type, x.cells.length);
    for (let i = 0; i < cells.length; i++)
      cells[i] = table.has(x.cells[i]) ? table.get(x.cells[i]) : default_tensor.cells[0];
    return [tensor(values_tensor.type, x.shape, cells)];
  }

  // The comparisons of a node, in the order of their numbers in the operator; members come last.
  const GOES_LEFT = [
    (value, split) => value <= split, (value, split) => value < split,
    (value, split) => value >= split, (value, split) => value > split,
    (value, split) => value === split, (value, split) => value !== split,
    (value, _, members) => members.has(value),
  ];
  const MEMBER = 6, AVERAGE = 0;

  // The members of each node of that mode: NaN ends each node's list.
  function memberSets(modes, values) {
    let next = 0;
    return Array.from(modes, mode => {
      if (mode !== MEMBER) return null;
      const members = new Set();
      while (!Number.isNaN(values[next])) members.add(values[next++]);
      next++;
      return members;
    });
  }

  function treeEnsemble([x], forest) {
    const modes = forest.nodes_modes.cells, splits = forest.nodes_splits.cells;
    forest.sets ||= memberSets(modes, forest.membership_values ? forest.membership_values.cells : []);
    const missing = forest.nodes_missing_value_tracks_true, weights = forest.leaf_weights.cells;
    const [rows, columns] = x.shape, targets = forest.n_targets;
    const cells = room(x.type, rows * targets);
    for (let r = 0; r < rows; r++)
      for (const root of forest.tree_roots) {
        let node = root, isLeaf = 0;
        while (!isLeaf) {
          const value = x.cells[r * columns + forest.nodes_featureids[node]];
          const goesLeft = GOES_LEFT[modes[node]](value, splits[node], forest.sets[node])
            || (Number.isNaN(value) && missing !== undefined && missing[node] === 1);
          isLeaf = goesLeft ? forest.nodes_trueleafs[node] : forest.nodes_falseleafs[node];
          node = goesLeft ? forest.nodes_truenodeids[node] : forest.nodes_falsenodeids[node];
        }
        cells[r * targets + forest.leaf_targetids[node]] += weights[node];
      }
    if (forest.aggregate_function === AVERAGE)
      for (let i = 0; i < cells.length; i++) cells[i] /= forest.tree_roots.length;
    return [tensor(x.type, [rows, targets], cells)];
  }

  const OPERATORS = {
    Abs: unary(Math.abs), Asin: unary(Math.asin), Ceil: unary(Math.ceil), Cos: unary(Math.cos),
    Exp: unary(Math.exp), Floor: unary(Math.floor), Log: unary(Math.log), Neg: unary(x => -x),
    Relu: unary(x => x > 0 || Number.isNaN(x) ? x : 0), Round: unary(roundHalfEven),
    Sigmoid: unary(sigmoid), Sign: unary(Math.sign), Sin: unary(Math.sin), Sqrt: unary(Math.sqrt),
    Tanh: unary(Math.tanh), Identity: ([x]) => [x],
    Add: arithmetic((a, b) => a + b), Sub: arithmetic((a, b) => a - b),
    Mul: arithmetic((a, b) => a * b), Div: arithmetic(divide), Pow: arithmetic(power),
    Max: several((a, b) => Math.max(a, b)), Min: several((a, b) => Math.min(a, b)), Sum: several((a, b) => a + b),
    BitwiseAnd: bits((a, b) => a & b), BitwiseOr: bits((a, b) => a | b),
    BitwiseXor: bits((a, b) => a ^ b),
    And: test((a, b) => a && b), Or: test((a, b) => a || b), Xor: test((a, b) => a !== b),
    Not: test(a => !a), IsNaN: test(Number.isNaN), IsInf: test(a => Math.abs(a) === Infinity),
    Equal: test((a, b) => a === b), Less: test((a, b) => a < b), Greater: test((a, b) => a > b),
    LessOrEqual: test((a, b) => a <= b), GreaterOrEqual: test((a, b) => a >= b),
    Where: ([condition, a, b]) =>
      elementwise(a.type, [condition, a, b], (isTrue, x, y) => isTrue ? x : y),
    ArgMax: best((a, b) => a > b), ArgMin: best((a, b) => a < b),
    ReduceMax: reduce(-Infinity, Math.max), ReduceMin: reduce(Infinity, Math.min),
    ReduceProd: reduce(1, (a, b) => a * b), ReduceSum: reduce(0, (a, b) => a + b),
    ReduceSumSquare: reduce(0, (a, b) => a + b * b),
    Cast: cast, Concat: concat, CumSum: cumSum, Gather: gather, Gemm: gemm, MatMul: matMul,
    Expand: ([x, shape]) => {
      const result = broadcastShape([x.shape, integers(shape)]), cells = room(x.type, size(result));
      positions(x.shape, result).forEach((place, i) => { cells[i] = x.cells[place]; });
      return [tensor(x.type, result, cells)];
    },
    GatherElements: ([x, indices], {axis = 0}) => {
      const cells = room(x.type, indices.cells.length);
      elementPlaces(x.shape, indices, axis).forEach((place, i) => { cells[i] = x.cells[place]; });
      return [tensor(x.type, indices.shape, cells)];
    },
    LabelEncoder: labelEncoder, Reshape: reshape, ScatterElements: scatterElements,
    Shape: ([x], {start = 0, end}) => {
      const sizes = x.shape.slice(start, end);
      return [tensor("int64", [sizes.length], Float64Array.from(sizes))];
    },
    Slice: slice, Softmax: softmax, Split: split, Squeeze: squeeze, Transpose: transpose,
    TreeEnsemble: treeEnsemble, Unsqueeze: unsqueeze,
  };


  // Numbers are written in base 64, as the bytes of float64 (little-endian); strings as a list.
  function readTensor({type, shape, text, list}) {
    if (list) return tensor(type, shape, list);
    const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    return tensor(type, shape, Float64Array.from(new Float64Array(bytes.buffer)));
  }

  function readAttribute(value) {
    return value !== null && typeof value === "object" && !Array.isArray(value)
      ? readTensor(value) : value;
  }

  // A function from the graph's inputs, by name, to its outputs, by name.
  function read(graph) {
    const constants = Object.entries(graph.constants)
      .map(([name, value]) => [name, readTensor(value)]);
    const nodes = graph.nodes.map(({operator, inputs, outputs, attributes}) => {
      const compute = OPERATORS[operator];
      if (!compute) throw new Error(`${operator} is not written here`);
      const values = Object.fromEntries(Object.entries(attributes)
        .map(([name, value]) => [name, readAttribute(value)]));
      return {compute, inputs, outputs, values};
    });
    return feeds => {
      const values = new Map([...constants, ...Object.entries(feeds)]);
      for (const node of nodes) {
        const results = node.compute(node.inputs.map(name => values.get(name)), node.values);
        node.outputs.forEach((name, i) => values.set(name, results[i]));
      }
      return Object.fromEntries(graph.outputs.map(name => [name, values.get(name)]));
    };
  }

  const joinColumns = (a, b) => concat([a, b], {axis: 1})[0];

  return {read, tensor, joinColumns, operators: Object.keys(OPERATORS).sort()};
})();
