// Sort tables, choose a threshold, and open what is folded before the page is printed.
"use strict";

(() => {
  const element = (tag, properties = {}, ...children) => {
    const result = Object.assign(document.createElement(tag), properties);
    result.append(...children);
    return result;
  };

  // Numbers before texts, and empty cells last.
  function compare(a, b) {
    const [x, y] = [a, b].map(text => Number(text.replaceAll(",", "").replace(/ ?%$/, "")));
    const areNumbers = [a !== "" && !Number.isNaN(x), b !== "" && !Number.isNaN(y)];
    if (areNumbers[0] && areNumbers[1]) return x - y;
    if (areNumbers[0] !== areNumbers[1]) return areNumbers[0] ? -1 : 1;
    return a.localeCompare(b);
  }

  function makeSortable(table) {
    const heads = [...table.querySelectorAll("thead th")], body = table.tBodies[0];
    heads.forEach((head, i) => {
      const button = element("button", {type: "button", className: "sort", textContent: head.textContent});
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const isRising = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach(other => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", isRising ? "ascending" : "descending");
        const rows = [...body.rows].sort((a, b) =>
          compare(a.cells[i].textContent, b.cells[i].textContent) * (isRising ? 1 : -1));
        body.append(...rows);
      });
    });
  }

  // What a mouse can scroll, a keyboard must reach.
  function makeReachable() {
    for (const box of document.querySelectorAll(".wide, nav ul, .diagram")) {
      const scrolls = box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
      const caption = box.querySelector("caption");
      if (scrolls) box.tabIndex = 0; else box.removeAttribute("tabindex");
      if (caption && scrolls) {
        box.setAttribute("role", "region");
        box.setAttribute("aria-label", caption.textContent);
      } else if (caption) {
        box.removeAttribute("role");
        box.removeAttribute("aria-label");
      }
    }
  }

  const share = (part, whole) => whole ? (part / whole).toFixed(3) : "no row";

  function numberField(id, text, value) {
    const input = element("input", {id, type: "number", min: "0", step: "any", value});
    return [element("label", {htmlFor: id, textContent: text}), input];
  }

  function makePicker(counts, place) {
    const last = counts.lowest.length - 1;
    const slider = element("input", {id: "threshold", type: "range", min: "0", max: String(last), step: "1"});
    const isProbability = counts.score === "probability";
    const usual = isProbability ? 0.5 : 0;
    const start = counts.lowest.findLastIndex(lowest => lowest >= usual);
    const [alarmLabel, alarm] = numberField("cost-alarm", `Cost of a false alarm (${counts.other_class} taken for ${counts.of})`, "1");
    const [missLabel, miss] = numberField("cost-miss", `Cost of a missed row (${counts.of} taken for ${counts.other_class})`, "1");
    const tiles = element("dl", {className: "tiles"}), result = element("div", {}, tiles);
    result.setAttribute("role", "status");
    const cost = i => Math.max(0, Number(alarm.value)) * counts.false_positives[i]
      + Math.max(0, Number(miss.value)) * (counts.positives - counts.true_positives[i]);

    function update() {
      const i = last - Number(slider.value);
      const hits = counts.true_positives[i], alarms = counts.false_positives[i];
      const text = Number(counts.lowest[i].toPrecision(4));
      slider.setAttribute("aria-valuetext", String(text));
      const f1 = share(2 * hits, hits + alarms + counts.positives);
      const figures = [
        ["threshold", text], ["precision", share(hits, hits + alarms)],
        ["recall", share(hits, counts.positives)], ["F1", f1],
        ["false alarms", `${alarms} of ${counts.negatives}`],
        ["missed", `${counts.positives - hits} of ${counts.positives}`],
        ["cost", Number(cost(i).toPrecision(6))],
      ];
      tiles.replaceChildren(...figures.map(([name, value]) => element("div", {},
        element("dt", {textContent: name}), element("dd", {textContent: String(value)}))));
    }

    const cheapest = element("button", {type: "button", textContent: "Cheapest threshold"});
    cheapest.addEventListener("click", () => {
      let least = 0;
      for (let i = 1; i <= last; i++) if (cost(i) < cost(least)) least = i;
      slider.value = String(last - least);
      update();
    });
    slider.value = String(last - Math.max(0, start));
    place.addEventListener("input", update);
    place.append(
      element("p", {}, element("label", {htmlFor: "threshold", textContent: `Threshold for ${counts.of}`}), slider),
      element("div", {className: "costs"},
        element("p", {}, alarmLabel, alarm), element("p", {}, missLabel, miss), element("p", {}, cheapest)),
      result);
    place.hidden = false;
    update();
  }

  document.querySelectorAll("table.sortable").forEach(makeSortable);
  const counts = document.getElementById("threshold-counts");
  if (counts) {
    makePicker(JSON.parse(counts.textContent), document.getElementById("threshold-picker"));
    document.getElementById("threshold-table").open = false;
  }
  makeReachable();
  addEventListener("resize", makeReachable);
  document.querySelectorAll("details").forEach(part => part.addEventListener("toggle", makeReachable));
  const folded = () => [...document.querySelectorAll("details:not([open])")];
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = folded();
    opened.forEach(part => { part.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach(part => { part.open = false; }));
})();
