// A form for one row: it runs the model of the page, and shows prediction, probabilities and flags.
"use strict";

(() => {
  const source = document.getElementById("model");
  const status = document.getElementById("form-status"), place = document.getElementById("try-form");
  const MOST_OPTIONS = 60, MOST_BARS = 30;
  let columns = [], model = null, predict = null;

  function element(tag, properties = {}, ...children) {
    const result = Object.assign(document.createElement(tag), properties);
    result.append(...children);
    return result;
  }

  const shown = value => typeof value === "number" && !Number.isInteger(value)
    ? String(Number(value.toPrecision(6))) : String(value);

  const isText = index => model.derived.some(({source}) => source === index);

  // A list of choices where only these are accepted; otherwise a field, with suggestions.
  function field(column, index) {
    const id = `cell-${index}`;
    const values = column.type === "bool" ? ["false", "true"]
      : (column.limits && column.limits.values) || column.categories;
    const isClosed = column.type === "bool" || (column.limits && column.limits.values) || column.closed;
    let input, suggestions = null;
    if (isText(index)) {
      input = element("textarea", {id, rows: 3, spellcheck: false});
    } else if (values && isClosed && values.length <= MOST_OPTIONS) {
      input = element("select", {id});
      if (column.missing) input.append(element("option", {value: "", textContent: "(missing)"}));
      for (const value of values)
        input.append(element("option", {value: String(value), textContent: String(value)}));
    } else {
      input = element("input", {id, type: "text", autocomplete: "off", spellcheck: false,
        inputMode: edgeRows.isString(column) ? "text" : "decimal"});
      if (column.missing) input.placeholder = "missing";
      if (values && values.length <= MOST_OPTIONS) {
        suggestions = element("datalist", {id: `${id}-values`});
        for (const value of values) suggestions.append(element("option", {value: String(value)}));
        input.setAttribute("list", suggestions.id);
      }
    }
    const note = element("p", {className: "field-note", id: `${id}-note`});
    input.setAttribute("aria-describedby", note.id);
    const label = element("label", {htmlFor: id, textContent: column.name});
    const box = element("div", {className: isText(index) ? "field text" : "field"}, label, input, note);
    if (suggestions) box.append(suggestions);
    return {column, input, note, box};
  }

  function range(column) {
    if (column.categories && column.categories.length <= 6) return column.categories.map(shown).join(", ");
    if (column.minimum === null || edgeRows.isString(column)) return "";
    return `${shown(column.minimum)} to ${shown(column.maximum)} in training`;
  }

  // The cells of the row, or null after marking the fields that the model refuses.
  function readRow(fields) {
    let accepted = true;
    const row = fields.map(({column, input, note}) => {
      let problem = "", cell = NaN;
      try {
        cell = edgeRows.readField(column, input.value);
        problem = edgeRows.refusal(column, cell);
      } catch (error) {
        problem = error.message;
      }
      input.setAttribute("aria-invalid", String(problem !== ""));
      note.textContent = problem ? `Refused: ${problem}.` : range(column);
      note.classList.toggle("broken", problem !== "");
      accepted &&= problem === "";
      return cell;
    });
    return accepted ? row : null;
  }

  function bars(labels, values) {
    const list = element("ul", {className: "bars"});
    const order = values.map((_, i) => i).sort((a, b) => values[b] - values[a]).slice(0, MOST_BARS);
    for (const i of order) {
      const bar = element("span", {className: "bar"});
      bar.style.width = `${Math.max(0, Math.min(1, values[i])) * 100}%`;
      list.append(element("li", {},
        element("span", {className: "bar-label", textContent: String(labels[i])}),
        element("span", {className: "bar-room"}, bar),
        element("span", {className: "number", textContent: values[i].toFixed(4)})));
    }
    return list;
  }

  function describe(output, value, classes) {
    const own = output.item === null || !Array.isArray(classes[0]) ? classes : classes[output.item];
    const title = output.item === null ? output.method : `${output.method}, target ${output.item + 1}`;
    if (output.method === "predict_proba" && Array.isArray(value) && value.length === own.length)
      return [title, bars(own, value)];
    const texts = [value].flat().map((number, i) =>
      Array.isArray(value) && own.length === value.length && output.method !== "predict"
        ? `${own[i]}: ${shown(number)}` : shown(number));
    return [title, element("span", {textContent: texts.join(", ")})];
  }

  function show(target, row, task) {
    const results = predict([row]);
    const facts = element("dl", {className: "facts"});
    for (const output of model.outputs) {
      const value = results[output.name][0];
      if (output.method === "predict") {
        const kind = task === "anomaly" ? {"-1": " (anomaly)", "1": " (normal)"}[value] || "" : "";
        const text = [value].flat().map(shown).join(", ") + kind;
        target.append(element("p", {className: "prediction"}, "Prediction: ", element("strong", {textContent: text})));
      } else {
        const [title, content] = describe(output, value, model.classes);
        facts.append(element("dt", {textContent: title}), element("dd", {}, content));
      }
    }
    if (facts.children.length) target.append(facts);
    const flags = columns.flatMap((column, i) => {
      const flag = edgeRows.flag(column, row[i]);
      return flag ? [edgeRows.describeFlag(column, row[i], flag)] : [];
    });
    if (!flags.length) {
      target.append(element("p", {className: "note", textContent: "No flag: every cell is within the training data."}));
      return;
    }
    const list = element("ul", {className: "flags"});
    for (const flag of flags) list.append(element("li", {textContent: flag}));
    target.append(element("p", {className: "note", textContent: "Flags: outside of the training data, so trust it less."}), list);
  }

  function fill(fields, row) {
    fields.forEach(({column, input}, i) => {
      const cell = edgeRows.fromJson(column, row[i]);
      input.value = edgeRows.isMissing(cell) ? ""
        : column.type === "bool" ? String(cell === 1) : String(cell);
    });
  }

  function build() {
    const fields = columns.map(field);
    const result = element("div", {className: "result"});
    result.setAttribute("role", "status");
    const update = () => {
      const row = readRow(fields);
      result.replaceChildren();
      if (row === null) {
        result.append(element("p", {className: "note", textContent: "No prediction: the model refuses the row."}));
        return;
      }
      try {
        show(result, row, model.task);
      } catch (error) {
        result.replaceChildren(element("p", {className: "broken",
          textContent: `This page cannot compute the row: ${error.message}. edge-runtime can.`}));
      }
    };
    let next = 0;
    const another = element("button", {type: "button", textContent: "Next example row"});
    another.addEventListener("click", () => {
      next = (next + 1) % model.proof.rows.length;
      fill(fields, model.proof.rows[next]);
      update();
    });
    const form = element("form", {className: "row-form"},
      element("div", {className: "fields"}, ...fields.map(({box}) => box)),
      element("p", {}, element("button", {type: "submit", textContent: "Predict"}), " ", another));
    form.addEventListener("submit", event => { event.preventDefault(); update(); });
    form.addEventListener("input", update);
    fill(fields, model.proof.rows[0]);
    place.append(form, result);
    place.hidden = false;
    update();
  }

  try {
    model = JSON.parse(source.textContent);
    columns = model.columns;
    predict = edgeRows.read(model);
    const {rows, worst} = edgeRows.prove(model, predict);
    const size = worst ? `the largest difference is ${worst.toExponential(1)}` : "every number is the same";
    status.textContent = `Checked when this page opened: ${rows} ${model.proof.origin}, every label as expected, ${size}.`;
    status.dataset.proven = "yes";
    build();
  } catch (error) {
    place.hidden = true;
    status.textContent = `The form is off: this browser computes something else (${error.message}). edge-runtime is not concerned.`;
    status.dataset.proven = "no";
  }
})();
