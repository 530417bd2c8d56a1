// The dashboard: charts drawn from the figures the server pushes, holding still what somebody reads, and the copy button.
"use strict";

(() => {
  const lang = document.documentElement.lang || "en";
  const clock = new Intl.DateTimeFormat(lang, { hour: "2-digit", minute: "2-digit" });
  const whole = new Intl.NumberFormat(lang);
  const usd = (n) => n == null ? "–" : n !== 0 && n < 1 ? `$${n.toFixed(4)}` : `$${n.toFixed(2)}`;
  const seconds = (n) => n == null ? "–" : n < 0.0995 ? `${Math.round(n * 1000)} ms` : n < 9.995 ? `${n.toFixed(2)} s` : `${n.toFixed(1)} s`;
  const axisUsd = (n) => n === 0 ? "$0" : n < 0.1 ? `$${n.toFixed(3)}` : n < 10 ? `$${n.toFixed(2)}` : `$${n.toFixed(0)}`;
  const axisSeconds = (n) => n === 0 ? "0" : n < 1 ? `${Math.round(n * 1000)} ms` : `${+n.toFixed(1)} s`;

  const CHARTS = {
    requests: { columns: ["requests", "failovers", "failed"], say: whole.format, axis: whole.format, least: 4, whole: true },
    first: { columns: ["p50", "p95"], say: seconds, axis: axisSeconds, least: 0.2 },
    spend: { columns: ["usd"], say: usd, axis: axisUsd, least: 0.004 },
  };
  let charts = [];

  // Charts ----------------------------------------------------------------------------------------------------------

  function ink(name) {
    const probe = document.createElement("i");
    probe.className = name;
    document.body.append(probe);
    const colour = getComputedStyle(probe).color;
    probe.remove();
    return colour;
  }

  function figures() {
    const element = document.getElementById("figures");
    try { return element ? JSON.parse(element.dataset.series) : null; } catch { return null; }
  }

  function draw() {
    charts.forEach((each) => each.plot.destroy());
    charts = [];
    const data = figures();
    if (!data || typeof uPlot === "undefined") return;
    document.querySelectorAll("figure[data-chart]").forEach((figure) => charts.push(chart(figure, data)));
  }

  function chart(figure, data) {
    const kind = CHARTS[figure.dataset.chart];
    const place = figure.querySelector(".plot");
    const keys = [...figure.querySelectorAll(".key")];
    place.replaceChildren();
    const series = kind.columns.map((column, i) => {
      const colour = getComputedStyle(keys[i]).color;
      const common = { stroke: colour, width: 2, points: { show: false }, spanGaps: false };
      if (keys[i].classList.contains("column")) {
        return { ...common, width: 0, fill: colour, paths: uPlot.paths.bars({ size: [0.7, 28], radius: 0.2 }) };
      }
      if (keys[i].matches(".dot, .ring")) {  // seldom: a mark where there is one
        return { ...common, paths: () => null, points: { show: true, size: 7, width: 2, stroke: colour, fill: keys[i].matches(".dot") ? colour : ink("surface-ink") } };
      }
      const alone = { show: (u, s) => lonely(u.data[s]), size: 5, fill: colour, width: 0 };
      return keys[i].classList.contains("dash") ? { ...common, dash: [5, 4], points: alone } : { ...common, points: alone };
    });
    const state = { figure, kind, place, data };
    const font = "12px system-ui, sans-serif";
    const axis = { stroke: ink("axis-ink"), font, grid: { stroke: ink("grid-ink"), width: 1 }, ticks: { show: false } };
    const plot = new uPlot({
      width: Math.max(place.clientWidth, 120),
      height: place.clientHeight || 176,
      padding: [8, 18, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: "overview" }, drag: { x: false, y: false, setScale: false }, points: { size: 7 }, y: false },
      scales: {
        x: { range: (u, low, high) => low == null ? [0, 1] : [low - state.data.step / 2, high + state.data.step / 2] },
        y: { range: (u, low, high) => [0, Math.max((high || 0) * 1.12, kind.least)] },
      },
      axes: [
        { ...axis, grid: { show: false }, space: 64, size: 26, values: (u, at) => at.map((t) => label(state.data, t)),
          ...(data.dates ? { splits: () => state.data.t.filter((_, i) => (state.data.t.length - 1 - i) % 6 === 0) } : {}) },
        { ...axis, size: 56, gap: 6, space: 36, values: (u, at) => at.map((n) => kind.axis(n)), ...(kind.whole ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 1000000] } : {}) },
      ],
      series: [{}, ...series],
      hooks: { setCursor: [(u) => tell(state, u.cursor.idx)] },
    }, columns(kind, data), place);
    state.plot = plot;
    emptiness(state);
    return state;
  }

  // A line that consists of single points with gaps around them shows these points.
  function lonely(values) {
    return values.some((v, i) => v != null && values[i - 1] == null && values[i + 1] == null);
  }

  function columns(kind, data) {
    return [data.t, ...kind.columns.map((column, i) => (data[column] || []).map((n) => kind.whole && i > 0 && !n ? null : n))];
  }

  function label(data, t) {
    if (!data.dates) return clock.format(t * 1000);
    const i = data.t.indexOf(t);
    return i < 0 ? "" : data.dates[i].slice(5);
  }

  function tell(state, i) {
    state.kind.columns.forEach((column) => {
      const shown = state.figure.querySelector(`[data-of="${column}"]`);
      const value = i == null ? null : (state.data[column] || [])[i];
      if (shown) shown.textContent = value == null ? "" : state.kind.say(value);
    });
  }

  function emptiness(state) {
    const has = state.kind.columns.some((column) => (state.data[column] || []).some((v) => v));
    let note = state.place.querySelector(".instead");
    if (has && !state.place.dataset.instead) { note?.remove(); return; }
    if (!note) { note = document.createElement("p"); note.className = "instead"; state.place.append(note); }
    note.textContent = state.place.dataset.instead || state.place.closest(".charts").dataset.none;
  }

  function refresh() {
    const data = figures();
    if (!data) return;
    if (!charts.length || charts[0].data.range !== data.range || Boolean(charts[0].data.dates) !== Boolean(data.dates)) { draw(); return; }
    for (const each of charts) {
      each.data = data;
      each.plot.setData(columns(each.kind, data));
      emptiness(each);
    }
  }

  function resize() {
    for (const { plot, place } of charts) plot.setSize({ width: Math.max(place.clientWidth, 120), height: place.clientHeight || 176 });
  }

  let drawn = null;
  function look() {
    const element = document.getElementById("figures");
    const now = element && element.dataset.series;
    if (now !== drawn || (charts[0] && !charts[0].place.isConnected)) {
      drawn = now;
      if (charts[0] && !charts[0].place.isConnected) draw(); else refresh();
    }
  }

  document.addEventListener("DOMContentLoaded", () => { draw(); look(); });
  document.addEventListener("htmx:wsAfterMessage", look);
  document.addEventListener("htmx:afterSettle", look);
  addEventListener("resize", () => requestAnimationFrame(resize));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

  // Holding still ---------------------------------------------------------------------------------------------------
  // What somebody points at, has the focus in, has selected text of, or has paused, is not exchanged under their hands:
  // the newest version waits.

  const waiting = new Map();
  const paused = () => document.getElementById("pause")?.getAttribute("aria-pressed") === "true";

  function held(element) {
    const chosen = document.getSelection();
    return element.contains(document.activeElement)
      || (chosen && !chosen.isCollapsed && element.contains(chosen.anchorNode))
      || (element.id === "feed" && (paused() || element.matches(":hover") || document.getElementById("request")?.open));
  }

  function sayHeld() {
    const place = document.getElementById("held");
    if (place) place.hidden = !waiting.has("feed") || paused();
  }

  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { target, fragment } = event.detail;
    if (!target.closest || !target.closest("#overview")) return;
    const next = fragment.firstElementChild || fragment;
    if (!held(target)) { waiting.delete(target.id); sayHeld(); return; }
    event.detail.shouldSwap = false;
    const kept = next.cloneNode(true);
    kept.removeAttribute("hx-swap-oob");
    waiting.set(target.id, kept);
    sayHeld();
  });

  function release() {
    for (const [id, next] of [...waiting]) {
      const element = document.getElementById(id);
      if (element && held(element)) continue;
      waiting.delete(id);
      if (element) { element.replaceWith(next); htmx.process(next); }
    }
    sayHeld();
  }

  document.addEventListener("htmx:wsAfterMessage", release);
  document.addEventListener("close", () => setTimeout(release), true);
  document.addEventListener("focusout", () => setTimeout(release));
  document.addEventListener("pointerout", (event) => { if (event.target.closest?.("#feed")) setTimeout(release); });

  document.addEventListener("click", (event) => {
    const pause = event.target.closest("#pause");
    if (pause) {
      const on = pause.getAttribute("aria-pressed") !== "true";
      pause.setAttribute("aria-pressed", String(on));
      if (!on) release();
    }
    const copy = event.target.closest("[data-copies]");
    if (copy) {
      const text = document.querySelector(copy.dataset.copies).textContent;
      navigator.clipboard.writeText(text).then(() => {
        const before = copy.dataset.before || copy.textContent;
        copy.dataset.before = before;
        copy.textContent = copy.dataset.done;
        setTimeout(() => { copy.textContent = before; }, 2000);
      });
    }
  });
})();
