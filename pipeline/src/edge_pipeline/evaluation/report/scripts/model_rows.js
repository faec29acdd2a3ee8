// Check a row as edge-runtime does, flag what lies outside the training data, and predict it.
"use strict";

const edgeRows = (() => {
  const MISSING = "\ufdd0";  // stands for a missing string inside the graph
  const LEAST_TOLERANCE = 1e-12;  // math libraries differ in the last places
  const SPELLED = {nan: NaN, inf: Infinity, "-inf": -Infinity};

  const isString = column => column.type === "string";
  const isMissing = cell => cell === null || Number.isNaN(cell);

  // The cell that a text in the form stands for; an empty field is a missing value where one is
  // accepted, and otherwise the empty text.
  function readField(column, text) {
    if (isString(column)) return text === "" && column.missing ? null : text;
    const trimmed = text.trim();
    if (trimmed === "") return NaN;
    if (column.type === "bool" && ["true", "false"].includes(trimmed.toLowerCase()))
      return trimmed.toLowerCase() === "true" ? 1 : 0;
    // Number("0x10") is 16; a number here is written in decimal.
    const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed) ? Number(trimmed) : NaN;
    if (Number.isNaN(number)) throw new Error(`expected a number, found ${trimmed.slice(0, 60)}`);
    return number;
  }

  // Why the device refuses this cell; empty when it accepts it.
  function refusal(column, cell) {
    if (isMissing(cell)) return column.missing ? "" : "the model does not accept a missing value here";
    const {limits} = column;
    if (!isString(column)) {
      if (!Number.isFinite(cell)) return "the model does not take infinity";
      if (Number.isInteger(cell) && !Number.isSafeInteger(cell) && column.type === "int64")
        return "an integer of at most 2**53 is expected";
      if (column.type === "bool" && cell !== 0 && cell !== 1) return "true or false is expected";
    } else if (cell.includes(MISSING) || /[\ud800-\udfff]/u.test(cell)) {
      return "UTF-8 cannot carry this text";
    }
    if (limits && limits.values && !limits.values.includes(cell))
      return "the limits set at the build allow other values only";
    if (limits && ((limits.minimum !== null && cell < limits.minimum)
        || (limits.maximum !== null && cell > limits.maximum)))
      return "the number is beyond the limits set at the build";
    if (column.closed && column.categories && !column.categories.includes(cell))
      return "training had no such value, and the model has no prediction for it";
    if (column.closed && !column.categories && column.minimum !== null
        && (cell < column.minimum || cell > column.maximum))
      return "the number is out of range, and the model has no prediction for it";
    return "";
  }

  // As Model.check_rows: below_range, above_range, unseen_category or missing_value; null if none.
  function flag(column, cell) {
    if (isMissing(cell)) {
      const isFlagged = !column.missing_in_training
        && (isString(column) || column.categories || column.minimum !== null);
      return isFlagged ? {kind: "missing_value", amount: null} : null;
    }
    if (column.categories)
      return column.categories.includes(cell) ? null : {kind: "unseen_category", amount: null};
    if (isString(column) || column.minimum === null) return null;
    if (cell < column.minimum) return {kind: "below_range", amount: column.minimum - cell};
    return cell > column.maximum ? {kind: "above_range", amount: cell - column.maximum} : null;
  }

  function describeFlag(column, cell, {kind, amount}) {
    if (kind === "missing_value") return `${column.name}: missing, as in no training row`;
    if (kind === "unseen_category") return `${column.name}: ${cell} is not among the categories of training`;
    const side = kind === "below_range" ? "below" : "above", span = column.maximum - column.minimum;
    const spans = span ? `, ${Number((amount / span).toPrecision(3))} times its span` : "";
    return `${column.name}: ${cell} lies ${Number(amount.toPrecision(6))} ${side} the training range${spans}`;
  }

  const fromJson = (column, cell) => isString(column) ? cell
    : cell === null ? NaN : typeof cell === "boolean" ? +cell
    : typeof cell === "string" ? SPELLED[cell] : cell;

  // The counts of the text columns, behind the numeric columns of each row.
  function counts(derived, rows) {
    const counters = derived.map(block => [block.source, block.terms.length, edgeWords.counter(block)]);
    const width = derived.reduce((total, block) => total + block.terms.length, 0);
    const cells = new Float64Array(rows.length * width);
    rows.forEach((row, r) => {
      let start = r * width;
      for (const [source, size, count] of counters) {
        for (const [column, value] of count(row[source])) cells[start + column] = value;
        start += size;
      }
    });
    return edgeGraph.tensor("float64", [rows.length, width], cells);
  }

  function feeds({columns, derived}, rows) {
    const block = (type, test, convert) => {
      const places = columns.flatMap((column, i) => test(column) ? [i] : []);
      const cells = rows.flatMap(row => places.map(i => convert(row[i])));
      return edgeGraph.tensor(type, [rows.length, places.length],
        type === "string" ? cells : Float64Array.from(cells));
    };
    const numbers = block("float64", column => !isString(column), cell => cell);
    return {
      numbers: derived.length ? edgeGraph.joinColumns(numbers, counts(derived, rows)) : numbers,
      strings: block("string", isString, cell => cell === null ? MISSING : cell),
    };
  }

  // The rows of an output as nested lists, as golden answers are.
  function nested({shape, cells}, dtype) {
    const values = Array.from(cells, cell => dtype === "bool" ? cell === 1 : cell);
    if (shape.length === 1) return values;
    return Array.from({length: shape[0]}, (_, i) => values.slice(i * shape[1], (i + 1) * shape[1]));
  }

  function read(model) {
    const run = edgeGraph.read(model.graph);
    return rows => {
      const tensors = run(feeds(model, rows));
      return Object.fromEntries(
        model.outputs.map(({name, dtype}) => [name, nested(tensors[name], dtype)]));
    };
  }

  // Predict the rows with known answers; the largest difference relative to each output's size.
  function prove(model, predict) {
    const rows = model.proof.rows.map(row => model.columns.map((column, i) => fromJson(column, row[i])));
    const results = predict(rows);
    let worst = 0;
    for (const {name, dtype} of model.outputs) {
      const expected = model.proof.answers[name].flat(Infinity), actual = results[name].flat(Infinity);
      if (expected.length !== actual.length) throw new Error(`${name} has another shape`);
      const numbers = dtype.startsWith("float");
      const target = expected.map(cell => numbers && typeof cell === "string" ? SPELLED[cell] : cell);
      const scale = numbers
        ? Math.max(0, ...target.filter(Number.isFinite).map(Math.abs)) || 1 : 1;
      target.forEach((cell, i) => {
        if (Object.is(cell, actual[i]) || cell === actual[i]) return;
        const difference = numbers ? Math.abs(cell - actual[i]) / scale : Infinity;
        if (!(difference <= Math.max(model.tolerance, LEAST_TOLERANCE)))
          throw new Error(`${name} is ${actual[i]}, and ${cell} is expected`);
        worst = Math.max(worst, difference);
      });
    }
    return {rows: rows.length, worst};
  }

  return {readField, refusal, flag, describeFlag, fromJson, read, prove, isMissing, isString};
})();
